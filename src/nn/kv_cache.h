// The KV page pools of all layers.
#pragma once

#include <mlx/mlx.h>

#include <cstddef>
#include <vector>

#include "kernels/cpu_backend.h"

namespace pippin::nn {

namespace mx = mlx::core;

/// Owned by the engine's thread. Per layer one key and one value pool [slots, Hkv, D], slot = page
/// * page_size + offset. Which page belongs to whom is the page cache's business, not this
/// struct's.
struct KVCache {
  /// Allocates the pools: zeroed, or uninitialised in host memory for the CPU's kernels, which read no
  /// slot that was not written.
  KVCache(int num_layers, int num_slots, int num_kv_heads, int head_dim, mx::Dtype dtype,
          bool for_cpu_kernels = false) {
    const mx::Shape shape = {num_slots, num_kv_heads, head_dim};
    const auto pool = [&] {
      return for_cpu_kernels ? kernels::host_array(shape, dtype) : mx::zeros(shape, dtype);
    };
    for (int i = 0; i < num_layers; ++i) {
      keys.push_back(pool());
      values.push_back(pool());
    }
    mx::eval(keys);
    mx::eval(values);
  }

  std::vector<mx::array> keys;
  std::vector<mx::array> values;
};

}  // namespace pippin::nn
