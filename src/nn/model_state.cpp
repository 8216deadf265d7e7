#include "nn/model_state.h"

#include <algorithm>
#include <string>

#include "kernels/gpu/attention.h"
#include "kernels/gpu/kernel.h"
#include "pippin/error.h"

namespace pippin::nn {
namespace {

// Whether the layer's pages are those of windows, where such are kept apart.
bool has_window(const LayerState& layer) {
  const auto* kv = std::get_if<PagedKv>(&layer);
  return kv && kv->window > 0;
}

// By layer.
std::vector<bool> window_layers(std::span<const LayerState> layers, bool apart) {
  std::vector<bool> in_window;
  for (const auto& layer : layers) {
    const auto* shared = std::get_if<SharedKv>(&layer);
    const auto own = shared ? static_cast<std::size_t>(shared->layer) : in_window.size();
    in_window.push_back(apart && own < layers.size() && has_window(layers[own]));
  }
  return in_window;
}

// By layer; a layer that shares another's pages is as that one is.
std::vector<bool> layers_with_values_in_keys(std::span<const LayerState> layers) {
  std::vector<bool> in_keys;
  for (std::size_t i = 0; i < layers.size(); ++i) {
    const auto* shared = std::get_if<SharedKv>(&layers[i]);
    const auto own = shared ? static_cast<std::size_t>(shared->layer) : i;
    const auto* kv = own < layers.size() ? std::get_if<PagedKv>(&layers[own]) : nullptr;
    in_keys.push_back(kv && kv->values_in_keys);
  }
  return in_keys;
}

// Of the layers that are in windows, or of those that are not.
std::vector<PoolRow> kv_rows(std::span<const LayerState> layers, const KvStorage& kv,
                             const std::vector<bool>& in_window, bool windows) {
  const auto dtype = kv.bits ? mx::uint8 : kv.dtype;
  const auto numbers = [&](int dim) {
    return kv_row_bytes(kv, dim) / static_cast<int>(mx::size_of(dtype));
  };
  std::vector<PoolRow> rows;
  for (std::size_t i = 0; i < layers.size(); ++i) {
    const auto* layer = std::get_if<PagedKv>(&layers[i]);
    if (!layer || in_window[i] != windows) continue;
    for (const int dim : stored_dims(*layer))
      rows.push_back({{layer->num_heads, numbers(dim)}, dtype});
  }
  return rows;
}

std::vector<PoolRow> slot_rows(std::span<const LayerState> layers) {
  std::vector<PoolRow> rows;
  for (const auto& layer : layers)
    if (const auto* state = std::get_if<RecurrentState>(&layer))
      for (const auto& tensor : state->tensors) rows.push_back({tensor.shape, tensor.dtype});
  return rows;
}

// The shared layer's, which comes before.
std::size_t shared_pool(std::span<const LayerState> layers, std::size_t layer,
                        const std::vector<std::size_t>& first_pool) {
  const auto shared = static_cast<std::size_t>(std::get<SharedKv>(layers[layer]).layer);
  if (shared >= layer || !std::holds_alternative<PagedKv>(layers[shared]))
    throw Error(Code::internal, "layer " + std::to_string(layer) + " shares the pages of layer " +
                                    std::to_string(shared) + ", which has none");
  return first_pool[shared];
}

std::vector<std::size_t> first_pools(std::span<const LayerState> layers,
                                     const std::vector<bool>& in_window) {
  std::vector<std::size_t> first;
  std::size_t num_full = 0, num_window = 0, num_tensors = 0;
  for (std::size_t i = 0; i < layers.size(); ++i) {
    auto& num_kv = in_window[i] ? num_window : num_full;
    const auto* state = std::get_if<RecurrentState>(&layers[i]);
    if (std::holds_alternative<SharedKv>(layers[i]))
      first.push_back(shared_pool(layers, i, first));
    else
      first.push_back(state ? num_tensors : num_kv);
    if (const auto* kv = std::get_if<PagedKv>(&layers[i])) num_kv += stored_dims(*kv).size();
    if (state) num_tensors += state->tensors.size();
  }
  return first;
}

}  // namespace

ModelState::ModelState(std::span<const LayerState> layers, const StateSize& size,
                       const KvStorage& kv, bool for_cpu_kernels)
    : in_window_pages_(window_layers(layers, size.num_window_pages > 0)),
      values_in_keys_(layers_with_values_in_keys(layers)),
      first_pool_(first_pools(layers, in_window_pages_)),
      pages_(kv_rows(layers, kv, in_window_pages_, false), size.num_pages, size.page_size,
             for_cpu_kernels, kv.preallocated),
      window_pages_(kv_rows(layers, kv, in_window_pages_, true), size.num_window_pages,
                    size.page_size, for_cpu_kernels, kv.preallocated),
      slots_(slot_rows(layers), size.num_slots, 1, for_cpu_kernels) {}

void ModelState::take_over_pools() {
  pages_.take_over_pools();
  window_pages_.take_over_pools();
  slots_.take_over_pools();
}

void ModelState::finish_writes() {
  pages_.finish_writes();
  window_pages_.finish_writes();
  slots_.finish_writes();
}

std::vector<mx::array> ModelState::arrays() const {
  auto all = pages_.arrays();
  for (const auto* pools : {&window_pages_, &slots_})
    all.insert(all.end(), pools->arrays().begin(), pools->arrays().end());
  return all;
}

// Codes are read by MLX's operations.
bool by_gpu_kernels(std::span<const LayerState> layers, const KvStorage& kv) {
  if (kv.bits != 0) return false;
  const auto paged = paged_layers(layers);
  return std::all_of(paged.begin(), paged.end(), [&](const PagedKv& layer) {
    return layer.key_dim == layer.value_dim && !layer.values_in_keys &&
           kernels::gpu::decodes(kernels::gpu::executor(), layer.key_dim, kv.dtype, kv.dtype);
  });
}

}  // namespace pippin::nn
