// Where a tile of keys and values lies in the pools, and its conversion to floats.
#pragma once

#include <cstdint>
#include <type_traits>

#include "kernels/cpu/attention_kernels.h"
#include "kernels/cpu/rope_impl.h"

namespace pippin::cpu::PIPPIN_ISA {

inline constexpr int key_blocks = key_tile / 16;

/// Numbers in one T: two share a Code4.
template <class T>
inline constexpr int numbers_in = std::is_same_v<T, Code4> ? 2 : 1;
template <class T>
inline constexpr bool is_code = std::is_same_v<T, Code8> || std::is_same_v<T, Code4>;

/// A tile's keys and values where they lie: blocks of 16 keys [D / numbers_in, 16], k_stride Ts from row
/// to row, and of 16 values [16, padded Dv / numbers_in]. With scales, one a key and one a value, both are
/// levels: scores and weights take the scales, which is one product for a whole head.
template <class T>
struct KeyBlocks {
  const T* k[key_blocks];
  const T* v[key_blocks];
  std::int64_t k_stride, v_stride;
  const float *k_scales = nullptr, *v_scales = nullptr;  ///< [key_tile], or none
};

// Vector `index` of 16 numbers from x.
template <class T>
inline __attribute__((always_inline)) Vf load_vector(const T* x, int index) {
  if constexpr (std::is_same_v<T, Code4>)
    return load_nibbles(x + index / 2 * 16, index % 2);
  else
    return load(x + index * 16);
}

// Keys [begin, end) of a sequence, all within the tile at `start`. The page table's entries for others
// may name pages that are someone else's by now.
struct KeyRange {
  int start, begin, end;
};

// A packed tile's blocks: keys [D, key_tile], then values [key_tile, padded Dv].
inline void packed_blocks(const float* packed, int head_dim, int value_dim,
                          KeyBlocks<float>& blocks) {
  const int width = padded(value_dim);
  const float* values = packed + head_dim * key_tile;
  for (int b = 0; b < key_blocks; ++b) {
    blocks.k[b] = packed + 16 * b;
    blocks.v[b] = values + 16 * b * width;
  }
  blocks.k_stride = key_tile;
  blocks.v_stride = width;
}

// Number d of token `offset` of a run, or its level.
template <class T>
inline float key_at(const T* run, int d, int offset, const KvPools& pools) {
  return cpu::widen(run[static_cast<std::int64_t>(d) * pools.page_size + offset]);
}
template <class T>
inline float value_at(const T* run, int d, int offset, const KvPools& pools) {
  return cpu::widen(run[static_cast<std::int64_t>(offset) * pools.value_dim() + d]);
}
inline float level_of(Code4 code, bool high) {
  return kv_levels[high ? code.pair >> 4 : code.pair & 15];
}
inline float key_at(const Code4* run, int d, int offset, const KvPools& pools) {
  return level_of(run[d / 2 * pools.page_size + offset], d % 2);
}
inline float value_at(const Code4* run, int d, int offset, const KvPools& pools) {
  const int value_dim = pools.value_dim();
  const int first = d / 32 * 32, half = at_most_16((value_dim - first) / 2);
  const int i = d - first;
  return level_of(run[(offset * value_dim + first) / 2 + i % half], i >= half);
}

// A tile whose pages can't be read by blocks of 16: packed.
template <class T>
inline void gather(const PagedContext& context, int kv_head, const KeyRange& range, float* packed,
                   float* scales, KeyBlocks<float>& blocks) {
  const KvPools& pools = context.pools;
  const int head_dim = pools.head_dim, value_dim = pools.value_dim(), width = padded(value_dim);
  float* values = packed + head_dim * key_tile;
  for (std::int64_t i = 0; i < packed_floats(head_dim, value_dim); i += 16)
    store(packed + i, zero());
  for (int i = 0; i < 2 * key_tile; i += 16) store(scales + i, zero());
  for (int at = range.begin; at < range.end; ++at) {
    const int j = at - range.start, offset = at % pools.page_size;
    const std::int64_t page = context.pages[at / pools.page_size];
    char* k = key_run(pools, page, kv_head);
    char* v = pools.values_in_keys ? k : value_run(pools, page, kv_head);
    for (int d = 0; d < head_dim; ++d)
      packed[d * key_tile + j] = key_at(reinterpret_cast<const T*>(k), d, offset, pools);
    for (int d = 0; d < value_dim; ++d)
      values[j * width + d] = pools.values_in_keys
                                  ? packed[d * key_tile + j]
                                  : value_at(reinterpret_cast<const T*>(v), d, offset, pools);
    if constexpr (is_code<T>) {
      scales[j] = widen(scales_of(pools, head_dim, k)[offset]);
      scales[key_tile + j] =
          pools.values_in_keys ? scales[j] : widen(scales_of(pools, value_dim, v)[offset]);
    }
  }
  packed_blocks(packed, head_dim, value_dim, blocks);
  if constexpr (is_code<T>) blocks.k_scales = scales, blocks.v_scales = scales + key_tile;
}

template <class T>
inline bool readable_in_blocks(const KvPools& pools) {
  constexpr int numbers = 16 * numbers_in<T>;
  return pools.page_size % 16 == 0 && pools.head_dim % numbers == 0 &&
         pools.value_dim() % numbers == 0;
}

// The keys where they lie. A block that holds none of them points to another's. Where values lie in keys, `v` points to those, and
// expand() makes values of them.
template <class T>
inline void locate(const PagedContext& context, int kv_head, const KeyRange& range,
                   KeyBlocks<T>& blocks) {
  const KvPools& pools = context.pools;
  for (int b = 0; b < key_blocks; ++b) {
    int at = range.start + 16 * b;
    if (at >= range.end || at + 16 <= range.begin) at = range.begin / 16 * 16;
    const int offset = at % pools.page_size;
    const std::int64_t page = context.pages[at / pools.page_size];
    char* k = key_run(pools, page, kv_head);
    blocks.k[b] = reinterpret_cast<const T*>(k) + offset;
    if constexpr (is_code<T>) prefetch_far(scales_of(pools, pools.head_dim, k) + offset);
    if (pools.values_in_keys) {
      blocks.v[b] = blocks.k[b];
      continue;
    }
    char* v = value_run(pools, page, kv_head);
    blocks.v[b] =
        reinterpret_cast<const T*>(v) + std::int64_t{offset} * (pools.value_dim() / numbers_in<T>);
    if constexpr (is_code<T>) prefetch_far(scales_of(pools, pools.value_dim(), v) + offset);
  }
  blocks.k_stride = pools.page_size;
  blocks.v_stride = pools.value_dim() / numbers_in<T>;
}

// The scales of located keys, as floats.
template <class T>
inline void load_scales(const PagedContext& context, int kv_head, const KeyRange& range,
                        float* scales, KeyBlocks<T>& blocks) {
  const KvPools& pools = context.pools;
  for (int at = range.begin / 16 * 16; at < range.end; at += 16) {
    const int offset = at % pools.page_size;
    const std::int64_t page = context.pages[at / pools.page_size];
    float* to = scales + at - range.start;
    const Vf keys = load(scales_of(pools, pools.head_dim, key_run(pools, page, kv_head)) + offset);
    store(to, keys);
    store(
        to + key_tile,
        pools.values_in_keys
            ? keys
            : load(scales_of(pools, pools.value_dim(), value_run(pools, page, kv_head)) + offset));
  }
  blocks.k_scales = scales;
  blocks.v_scales = scales + key_tile;
}

// from [rows, columns] -> to [columns, rows], both multiples of 4; the strides in floats. Vectors of 4 serve every instruction set.
inline void transpose(const float* from, std::int64_t from_stride, int rows, int columns, float* to,
                      std::int64_t to_stride) {
  using V4 = float __attribute__((vector_size(16)));
  const auto load4 = [](const float* p) {
    V4 v;
    __builtin_memcpy(&v, p, sizeof(v));
    return v;
  };
  const auto store4 = [](float* p, V4 v) { __builtin_memcpy(p, &v, sizeof(v)); };
  for (int i = 0; i < rows; i += 4)
    for (int j = 0; j < columns; j += 4) {
      const float* p = from + i * from_stride + j;
      const V4 a = load4(p), b = load4(p + from_stride), c = load4(p + 2 * from_stride),
               d = load4(p + 3 * from_stride);
      const V4 ab_low = __builtin_shufflevector(a, b, 0, 4, 1, 5),
               ab_high = __builtin_shufflevector(a, b, 2, 6, 3, 7),
               cd_low = __builtin_shufflevector(c, d, 0, 4, 1, 5),
               cd_high = __builtin_shufflevector(c, d, 2, 6, 3, 7);
      float* q = to + j * to_stride + i;
      store4(q, __builtin_shufflevector(ab_low, cd_low, 0, 1, 4, 5));
      store4(q + to_stride, __builtin_shufflevector(ab_low, cd_low, 2, 3, 6, 7));
      store4(q + 2 * to_stride, __builtin_shufflevector(ab_high, cd_high, 0, 1, 4, 5));
      store4(q + 3 * to_stride, __builtin_shufflevector(ab_high, cd_high, 2, 3, 6, 7));
    }
}

// As floats, once for all passes.
template <class T>
inline void expand(const KvPools& pools, const KeyBlocks<T>& from, int count, float* packed,
                   KeyBlocks<float>& blocks) {
  const int head_dim = pools.head_dim, value_dim = pools.value_dim(), width = padded(value_dim);
  for (int d = 0; d < head_dim; ++d)
    for (int b = 0; 16 * b < count; ++b)
      store(packed + d * key_tile + 16 * b,
            load_vector(from.k[b] + d / numbers_in<T> * from.k_stride, d % numbers_in<T>));
  float* values = packed + head_dim * key_tile;
  if (pools.values_in_keys) transpose(packed, key_tile, width, (count + 3) / 4 * 4, values, width);
  for (int j = 0; j < count && !pools.values_in_keys; ++j)
    for (int i = 0; i < width; i += 16)
      store(values + j * width + i, load_vector(from.v[j / 16] + (j % 16) * from.v_stride, i / 16));
  packed_blocks(packed, head_dim, value_dim, blocks);
  blocks.k_scales = from.k_scales;
  blocks.v_scales = from.v_scales;
}

}  // namespace pippin::cpu::PIPPIN_ISA
