#include "nn/model_state.h"

#include <algorithm>
#include <string>

#include "kernels/gpu/attention.h"
#include "kernels/gpu/kernel.h"
#include "pippin/error.h"

namespace pippin::nn {
namespace {

std::vector<PoolRow> kv_rows(std::span<const LayerState> layers, const KvStorage& kv) {
  const auto dtype = kv.bits ? mx::uint8 : kv.dtype;
  const auto numbers = [&](int dim) {
    return kv_row_bytes(kv, dim) / static_cast<int>(mx::size_of(dtype));
  };
  std::vector<PoolRow> rows;
  for (const auto& layer : paged_layers(layers))
    for (const int dim : {layer.key_dim, layer.value_dim})
      rows.push_back({{layer.num_heads, numbers(dim)}, dtype});
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

std::vector<std::size_t> first_pools(std::span<const LayerState> layers) {
  std::vector<std::size_t> first;
  std::size_t num_kv = 0, num_tensors = 0;
  for (std::size_t i = 0; i < layers.size(); ++i) {
    const auto* state = std::get_if<RecurrentState>(&layers[i]);
    if (std::holds_alternative<SharedKv>(layers[i]))
      first.push_back(shared_pool(layers, i, first));
    else
      first.push_back(state ? num_tensors : num_kv);
    if (std::holds_alternative<PagedKv>(layers[i])) num_kv += 2;
    if (state) num_tensors += state->tensors.size();
  }
  return first;
}

}  // namespace

ModelState::ModelState(std::span<const LayerState> layers, const StateSize& size,
                       const KvStorage& kv, bool for_cpu_kernels)
    : first_pool_(first_pools(layers)),
      pages_(kv_rows(layers, kv), size.num_pages, size.page_size, for_cpu_kernels, kv.preallocated),
      slots_(slot_rows(layers), size.num_slots, 1, for_cpu_kernels) {}

void ModelState::take_over_pools() {
  pages_.take_over_pools();
  slots_.take_over_pools();
}

void ModelState::finish_writes() {
  pages_.finish_writes();
  slots_.finish_writes();
}

std::vector<mx::array> ModelState::arrays() const {
  auto all = pages_.arrays();
  all.insert(all.end(), slots_.arrays().begin(), slots_.arrays().end());
  return all;
}

// Codes are read by MLX's operations.
bool by_gpu_kernels(std::span<const LayerState> layers, const KvStorage& kv) {
  if (kv.bits != 0) return false;
  const auto paged = paged_layers(layers);
  return std::all_of(paged.begin(), paged.end(), [&](const PagedKv& layer) {
    return layer.key_dim == layer.value_dim &&
           kernels::gpu::decodes(kernels::gpu::executor(), layer.key_dim, kv.dtype, kv.dtype);
  });
}

}  // namespace pippin::nn
