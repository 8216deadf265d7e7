#include "nn/layer_state.h"

#include <algorithm>

#include "kernels/kv_codes.h"

namespace pippin::nn {

int kv_row_bytes(const KvStorage& storage, int head_dim) {
  if (storage.bits == 0) return static_cast<int>(mx::size_of(storage.dtype)) * head_dim;
  const auto format = storage.bits == 8 ? cpu::KvFormat::int8 : cpu::KvFormat::int4;
  return cpu::kv_row_bytes(format, head_dim);
}

std::vector<int> stored_dims(const PagedKv& kv) {
  if (kv.values_in_keys) return {kv.key_dim};
  return {kv.key_dim, kv.value_dim};
}

std::int64_t kv_token_bytes(const PagedKv& kv, const KvStorage& storage) {
  std::int64_t bytes = 0;
  for (const int dim : stored_dims(kv)) bytes += kv_row_bytes(storage, dim);
  return bytes * kv.num_heads;
}

std::int64_t page_bytes(std::span<const LayerState> layers, const KvStorage& storage,
                        int page_size) {
  std::int64_t bytes = 0;
  for (const auto& kv : paged_layers(layers)) bytes += kv_token_bytes(kv, storage) * page_size;
  return bytes;
}

std::int64_t window_page_bytes(std::span<const LayerState> layers, const KvStorage& storage,
                               int page_size) {
  std::int64_t bytes = 0;
  for (const auto& kv : paged_layers(layers))
    if (kv.window > 0) bytes += kv_token_bytes(kv, storage) * page_size;
  return bytes;
}

int largest_window(std::span<const LayerState> layers) {
  int window = 0;
  for (const auto& kv : paged_layers(layers)) window = std::max(window, kv.window);
  return window;
}

std::int64_t slot_bytes(std::span<const LayerState> layers) {
  std::int64_t bytes = 0;
  for (const auto& layer : layers) {
    const auto* state = std::get_if<RecurrentState>(&layer);
    if (!state) continue;
    for (const auto& tensor : state->tensors) {
      auto size = static_cast<std::int64_t>(mx::size_of(tensor.dtype));
      for (const int extent : tensor.shape) size *= extent;
      bytes += size;
    }
  }
  return bytes;
}

std::vector<PagedKv> paged_layers(std::span<const LayerState> layers) {
  std::vector<PagedKv> paged;
  for (const auto& layer : layers)
    if (const auto* kv = std::get_if<PagedKv>(&layer)) paged.push_back(*kv);
  return paged;
}

}  // namespace pippin::nn
