// All that a model keeps of the tokens before: KV pages and slots of recurrent states, built from what its layers declare.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "nn/layer_state.h"
#include "nn/page_pools.h"

namespace pippin::nn {

struct StateSize {
  int num_pages = 0;
  int page_size = 16;
  int num_slots = 0;  ///< of recurrent states; a model without recurrent layers needs none
  /// Pages that the layers with a window have for themselves; 0: they have the same pages as all others.
  int num_window_pages = 0;
};

/// A recurrent layer's part of the slots. Tensor i is the i-th that the layer declares.
class LayerSlots {
 public:
  LayerSlots(PagePools& pools, std::size_t first) : pools_(&pools), first_(first) {}

  /// [N, tensor's shape ...]: the slots' states.
  mx::array read(std::size_t i, const std::vector<std::int32_t>& slots) const {
    return pools_->read_rows(first_ + i, slots);
  }
  /// Writes [N, tensor's shape ...] to distinct slots.
  void write(std::size_t i, const std::vector<std::int32_t>& slots, const mx::array& states) const {
    pools_->write_rows(first_ + i, slots, states);
  }
  /// [slots, tensor's shape ...]; plain memory for the CPU's kernels.
  mx::array& pool(std::size_t i) const { return (*pools_)[first_ + i]; }

 private:
  PagePools* pools_;
  std::size_t first_;
};

/// Owned by the engine's thread. Pages hold keys [num_pages * page_size, Hkv, key_dim], or [..., kv_row_bytes] of
/// codes, and values likewise; slot = page * page_size + offset. A recurrent state's slot is another thing: a row of
/// each recurrent tensor's pool.
class ModelState {
 public:
  /// Throws Error(internal) where a SharedKv names no earlier layer with PagedKv.
  ModelState(std::span<const LayerState> layers, const StateSize& size, const KvStorage& kv,
             bool for_cpu_kernels = false);

  /// The pools that the layer attends to: its own, or the shared layer's.
  mx::array& keys(std::size_t layer) { return kv_pools(layer)[first_pool_[layer]]; }
  /// The same as keys() where values lie in keys.
  mx::array& values(std::size_t layer) {
    return kv_pools(layer)[first_pool_[layer] + (values_in_keys_[layer] ? 0 : 1)];
  }
  /// Whether the layer attends to window_pages(): a step's rows have other pages there.
  bool in_window_pages(std::size_t layer) const { return in_window_pages_[layer]; }
  LayerSlots recurrent(std::size_t layer) { return {slots_, first_pool_[layer]}; }

  PagePools& pages() { return pages_; }
  const PagePools& pages() const { return pages_; }
  /// Those of the layers with a window, where they have pages of their own; else empty.
  PagePools& window_pages() { return window_pages_; }
  const PagePools& window_pages() const { return window_pages_; }
  PagePools& slots() { return slots_; }
  const PagePools& slots() const { return slots_; }

  /// See PagePools, for both.
  void take_over_pools();
  void finish_writes();
  /// Every pool: what a step has to compute beside logits.
  std::vector<mx::array> arrays() const;

 private:
  PagePools& kv_pools(std::size_t layer) {
    return in_window_pages_[layer] ? window_pages_ : pages_;
  }

  std::vector<bool> in_window_pages_;    ///< by layer
  std::vector<bool> values_in_keys_;     ///< by layer
  std::vector<std::size_t> first_pool_;  ///< by layer: among pages_, window_pages_ or slots_
  PagePools pages_, window_pages_;       ///< keys, then values, layer by layer
  PagePools slots_;                      ///< tensor by tensor, layer by layer; a page is one row
};

/// Whether our GPU kernels attend to the pages of all layers, as layouts have to say (kernels/layout.h).
bool by_gpu_kernels(std::span<const LayerState> layers, const KvStorage& kv);

}  // namespace pippin::nn
