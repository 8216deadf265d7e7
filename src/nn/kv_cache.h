// The KV page pools of all layers.
#pragma once

#include <mlx/mlx.h>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "kernels/cpu_backend.h"

namespace pippin::nn {

namespace mx = mlx::core;

/// How keys and values are kept.
struct KvStorage {
  mx::Dtype dtype = mx::float32;
  int bits = 0;  ///< 8 or 4: as codes of that size with scales (kernels/kv_codes.h); 0: as numbers
  bool preallocated = false;  ///< all of the pools is written at the start, in host memory too
};

/// Bytes of one token's key or value of one head.
int kv_row_bytes(const KvStorage& storage, int head_dim);

/// Owned by the engine's thread. Per layer one key and one value pool [slots, Hkv, D], or [slots, Hkv,
/// kv_row_bytes] of codes; slot = page
/// * page_size + offset: a page is one run of bytes in each pool. Which page belongs to whom is the page
/// cache's business, not this struct's.
struct KVCache {
  /// Allocates the pools: zeroed, or uninitialised in host memory for the CPU's kernels, which read no
  /// slot that was not written.
  KVCache(int num_layers, int num_pages, int page_size, int num_kv_heads, int head_dim,
          const KvStorage& storage, bool for_cpu_kernels = false);

  /// A copy of a whole page. No page is both read and written by one call, which waits for nothing that is under way.
  struct PageCopy {
    std::int32_t from, to;
  };
  void copy_pages(std::span<const PageCopy> copies);

  /// Bytes that one page takes over all pools.
  std::size_t page_bytes() const;
  /// The page's bytes, pool after pool (keys, then values, layer by layer); `out` has page_bytes().
  void read_page(std::int32_t page, std::span<std::uint8_t> out);
  /// What read_page gave. Not in the pools before finish_writes(): a GPU takes many pages as fast as one.
  void write_page(std::int32_t page, std::span<const std::uint8_t> bytes);
  /// Called before a model uses the pools; the methods here do it themselves.
  void finish_writes();

  /// Called before operations that write the pools are built, where others that use them may still be under way: MLX keeps hold of
  /// what those read, and writes in place only what nobody else holds. Nothing is overwritten too early, as operations run in the
  /// order in which they were launched. Other arrays that share the pools' memory must not be used any more.
  void take_over_pools();

  /// Gives the memory of pages whose content nobody wants back to the system, until they are written again. MLX's own
  /// pools stay as they are: an array's memory can't be given back in part.
  void drop_pages(std::vector<std::int32_t> pages) const;

  /// The pools' bytes where they are plain memory; else none.
  std::vector<std::span<std::uint8_t>> host_pools() const;

  std::vector<mx::array> keys;
  std::vector<mx::array> values;

 private:
  std::vector<mx::array*> pools();  ///< keys, then values, layer by layer
  std::vector<const mx::array*> pools() const;
  void evaluate();
  mx::array staged(std::size_t begin, const mx::array& pool) const;
  mx::array page_of(const mx::array& pool, std::int32_t page) const;
  void copy_host_pages(std::span<const PageCopy> copies);

  int page_size_;
  bool in_host_memory_;             ///< pools are plain memory, written behind MLX's back
  std::optional<mx::array> stage_;  ///< uint8 [pages, page_bytes()]: written, not in the pools yet
  std::vector<std::int32_t> staged_pages_;  ///< whose they are
};

}  // namespace pippin::nn
