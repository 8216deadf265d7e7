// Pools of equal pages: of keys and values of some tokens, or of one sequence's recurrent state.
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

/// What one pool holds of each row of a page.
struct PoolRow {
  mx::Shape shape;
  mx::Dtype dtype;
};

/// Owned by the engine's thread. Each pool is [num_pages * page_size, row's shape ...]: a page is one run of bytes in
/// each pool. Which page belongs to whom is the caches' business, not this class's.
class PagePools {
 public:
  /// Allocates the pools: zeroed, or uninitialised in host memory for the CPU's kernels, which read nothing that was
  /// not written. preallocated: written there, too.
  PagePools(const std::vector<PoolRow>& rows, int num_pages, int page_size, bool in_host_memory,
            bool preallocated = false);

  std::size_t size() const { return pools_.size(); }
  mx::array& operator[](std::size_t pool) { return pools_[pool]; }
  const mx::array& operator[](std::size_t pool) const { return pools_[pool]; }
  const std::vector<mx::array>& arrays() const { return pools_; }
  bool in_host_memory() const { return in_host_memory_; }

  /// A copy of a whole page. A page that one copy writes is read by no later one of the same call, which waits for
  /// nothing that is under way.
  struct PageCopy {
    std::int32_t from, to;
  };
  void copy_pages(std::span<const PageCopy> copies);
  /// Makes the pages zeros. Waits for nothing that is under way.
  void clear_pages(std::span<const std::int32_t> pages);

  /// Rows [N, row's shape ...] of a pool.
  mx::array read_rows(std::size_t pool, const std::vector<std::int32_t>& rows) const;
  /// Writes values [N, row's shape ...] to distinct rows of a pool.
  void write_rows(std::size_t pool, const std::vector<std::int32_t>& rows, const mx::array& values);

  /// Bytes that one page takes over all pools.
  std::size_t page_bytes() const;
  /// The page's bytes, pool after pool; `out` has page_bytes().
  void read_page(std::int32_t page, std::span<std::uint8_t> out);
  /// What read_page gave. Not in the pools before finish_writes(): a GPU takes many pages as fast as one.
  void write_page(std::int32_t page, std::span<const std::uint8_t> bytes);
  /// Called before a model uses the pools; the methods here do it themselves.
  void finish_writes();

  /// Called before operations that write the pools are built, where others that use them may still be under way: MLX
  /// keeps hold of what those read, and writes in place only what nobody else holds. Nothing is overwritten too early,
  /// as operations run in the order in which they were launched. Other arrays that share the pools' memory must not be
  /// used any more.
  void take_over_pools();

  /// Gives the memory of pages whose content nobody wants back to the system, until they are written again. MLX's own
  /// pools stay as they are: an array's memory can't be given back in part.
  void drop_pages(std::vector<std::int32_t> pages) const;

  /// The pools' bytes where they are plain memory; else none.
  std::vector<std::span<std::uint8_t>> host_pools() const;

 private:
  mx::array staged(std::size_t begin, const mx::array& pool) const;
  mx::array page_of(const mx::array& pool, std::int32_t page) const;
  void copy_host_pages(std::span<const PageCopy> copies);

  int page_size_;
  bool in_host_memory_;  ///< pools are plain memory, written behind MLX's back
  std::vector<mx::array> pools_;
  std::optional<mx::array> stage_;  ///< uint8 [pages, page_bytes()]: written, not in the pools yet
  std::vector<std::int32_t> staged_pages_;  ///< whose they are
};

}  // namespace pippin::nn
