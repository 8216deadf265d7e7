// Norms, rotary embedding and the pools' writes; see rope_kernels.h.
#pragma once

#include <cstdint>

#include "kernels/cpu/norm_impl.h"
#include "kernels/cpu/rope_kernels.h"

namespace pippin::cpu::PIPPIN_ISA {

inline int at_most_16(int n) { return n < 16 ? n : 16; }

// 1 / (root mean square of x [D]).
inline float inverse_rms(const float* x, int head_dim, float eps) {
  Vf squares = zero();
  for (int i = 0; i < head_dim; i += 16) {
    const Vf v = load_piece(x + i, at_most_16(head_dim - i));
    squares = fma(v, v, squares);
  }
  return 1.0f / __builtin_sqrtf(sum(squares) / static_cast<float>(head_dim) + eps);
}

// x * factor (* weight) for n <= 16 numbers.
inline Vf scaled(const float* x, const float* weight, int n, Vf factor) {
  const Vf v = load_piece(x, n) * factor;
  return weight ? v * load_piece(weight, n) : v;
}

// x [D] times factor (* weight [D]), of which the pairs (i, half + i) turn by angle i; out may be x.
inline void turn(const float* x, int head_dim, float factor, const float* weight, const float* cos,
                 const float* sin, int half, float* out) {
  const Vf f = set1(factor);
  const auto weight_at = [&](int i) { return weight ? weight + i : nullptr; };
  for (int i = 0; i < half; i += 16) {
    const int n = at_most_16(half - i);
    const Vf a = scaled(x + i, weight_at(i), n, f);
    const Vf b = scaled(x + half + i, weight_at(half + i), n, f);
    const Vf c = load_piece(cos + i, n), s = load_piece(sin + i, n);
    store_piece(out + i, a * c - b * s, n);
    store_piece(out + half + i, b * c + a * s, n);
  }
  for (int i = 2 * half; i < head_dim; i += 16) {
    const int n = at_most_16(head_dim - i);
    store_piece(out + i, scaled(x + i, weight_at(i), n, f), n);
  }
}

// Where one head's run of a page begins in the pools.
inline std::int64_t run_of(const KvPools& pools, std::int64_t page, int kv_head) {
  return (page * pools.num_kv_heads + kv_head) * pools.page_size * pools.head_dim;
}

// A key becomes column `offset` of its run [D, page_size].
template <class T>
inline void write_key(const float* key, int head_dim, int page_size, T* column) {
  T lanes[16];
  for (int i = 0; i < head_dim; i += 16) {
    const int n = at_most_16(head_dim - i);
    store(lanes, load_piece(key + i, n));
    for (int lane = 0; lane < n; ++lane) column[(i + lane) * page_size] = lanes[lane];
  }
}

template <class T>
inline void write_value(const float* value, int head_dim, T* row) {
  T lanes[16];
  for (int i = 0; i < head_dim; i += 16) {
    const int n = at_most_16(head_dim - i);
    if (n == 16) {
      store(row + i, load(value + i));
    } else {
      store(lanes, load_piece(value + i, n));
      for (int lane = 0; lane < n; ++lane) row[i + lane] = lanes[lane];
    }
  }
}

// One head of one row, from x to out.
inline void turn_head(const QkvRows& rows, std::int64_t row, const float* x, const float* norm,
                      float* out) {
  const int head_dim = rows.pools.head_dim, half = rows.rotary_dim / 2;
  const float factor = norm ? inverse_rms(x, head_dim, rows.eps) : 1.0f;
  turn(x, head_dim, factor, norm, rows.cos + row * half, rows.sin + row * half, half, out);
}

template <class T>
inline void store_row(const QkvRows& rows, std::int64_t row, const float* keys) {
  const KvPools& pools = rows.pools;
  const int head_dim = pools.head_dim, page_size = pools.page_size;
  const float* values = keys + static_cast<std::int64_t>(pools.num_kv_heads) * head_dim;
  const int page = rows.slots[row] / page_size, offset = rows.slots[row] % page_size;
  for (int head = 0; head < pools.num_kv_heads; ++head) {
    const std::int64_t start = run_of(pools, page, head);
    alignas(64) float key[max_head_dim];
    turn_head(rows, row, keys + head * head_dim, rows.k_norm, key);
    write_key(key, head_dim, page_size, static_cast<T*>(pools.k) + start + offset);
    write_value(values + head * head_dim, head_dim,
                static_cast<T*>(pools.v) + start + static_cast<std::int64_t>(offset) * head_dim);
  }
}

inline void qkv(const QkvRows& rows, std::int64_t first, std::int64_t last) {
  const int head_dim = rows.pools.head_dim;
  for (std::int64_t row = first; row < last; ++row) {
    const float* x = rows.qkv + row * rows.qkv_stride;
    for (int head = 0; head < rows.num_heads; ++head)
      turn_head(rows, row, x + head * head_dim, rows.q_norm,
                rows.q + row * rows.q_stride + head * head_dim);
    if (rows.slots[row] < 0) continue;
    const float* keys = x + rows.num_heads * head_dim;
    switch (rows.pools.format) {
      case Format::f32:
        store_row<float>(rows, row, keys);
        break;
      case Format::bf16:
        store_row<Bf16>(rows, row, keys);
        break;
      case Format::f16:
        store_row<F16>(rows, row, keys);
        break;
    }
  }
}

inline constexpr RopeKernels rope_kernels = {qkv};

}  // namespace pippin::cpu::PIPPIN_ISA
