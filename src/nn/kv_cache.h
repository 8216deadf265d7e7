// The KV page pools of all layers.
#pragma once

#include <mlx/mlx.h>

#include <cstddef>
#include <vector>

namespace pippin::nn {

namespace mx = mlx::core;

/// Owned by the engine's thread. Per layer one key and one value pool [slots, Hkv, D], slot = page
/// * page_size + offset. Which page belongs to whom is the page cache's business, not this
/// struct's.
struct KVCache {
  /// Allocates zeroed pools.
  KVCache(int num_layers, int num_slots, int num_kv_heads, int head_dim, mx::Dtype dtype) {
    for (int i = 0; i < num_layers; ++i) {
      keys.push_back(mx::zeros({num_slots, num_kv_heads, head_dim}, dtype));
      values.push_back(mx::zeros({num_slots, num_kv_heads, head_dim}, dtype));
    }
    mx::eval(keys);
    mx::eval(values);
  }

  std::vector<mx::array> keys;
  std::vector<mx::array> values;
};

}  // namespace pippin::nn
