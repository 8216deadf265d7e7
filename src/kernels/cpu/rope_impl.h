// Norms, rotary embedding and the pools' writes; see rope_kernels.h.
#pragma once

#include <cstdint>

#include "kernels/cpu/kv_codes_impl.h"
#include "kernels/cpu/rope_kernels.h"

namespace pippin::cpu::PIPPIN_ISA {

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

// The same for pairs (2 i, 2 i + 1).
inline void turn_neighbours(const float* x, int head_dim, float factor, const float* weight,
                            const float* cos, const float* sin, int half, float* out) {
  const auto at = [&](int i) { return x[i] * factor * (weight ? weight[i] : 1.0f); };
  for (int i = 0; i < half; ++i) {
    const float a = at(2 * i), b = at(2 * i + 1);
    out[2 * i] = a * cos[i] - b * sin[i];
    out[2 * i + 1] = b * cos[i] + a * sin[i];
  }
  for (int i = 2 * half; i < head_dim; ++i) out[i] = at(i);
}

// One head's run of a page in one of the pools.
inline char* run_of(void* pool, int head_dim, const KvPools& pools, std::int64_t page,
                    int kv_head) {
  const std::int64_t bytes = pools.page_size * kv_row_bytes(pools.format, head_dim);
  return static_cast<char*>(pool) + (page * pools.num_kv_heads + kv_head) * bytes;
}
inline char* key_run(const KvPools& pools, std::int64_t page, int kv_head) {
  return run_of(pools.k, pools.head_dim, pools, page, kv_head);
}
inline char* value_run(const KvPools& pools, std::int64_t page, int kv_head) {
  return run_of(pools.v, pools.value_dim(), pools, page, kv_head);
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

/// The query or the key heads of one row.
struct Heads {
  const float* x;     ///< [count, D]
  const float* norm;  ///< weights, or none
  int count;
  float scale;   ///< of the row's
  float factor;  ///< of all heads, where they are normed as a whole
};

inline Heads heads_of(const QkvRows& rows, const float* x, const float* norm, int count,
                      float scale) {
  const bool whole = rows.norms == HeadNorms::whole_row;
  if (rows.norms == HeadNorms::none) norm = nullptr;
  return {x, norm, count, scale,
          whole ? inverse_rms(x, count * rows.pools.head_dim, rows.eps) : 1.0f};
}

// x [D] times weight [D].
inline void weigh(const float* weight, int head_dim, float* x) {
  for (int i = 0; i < head_dim; i += 16) {
    const int n = at_most_16(head_dim - i);
    store_piece(x + i, load_piece(x + i, n) * load_piece(weight + i, n), n);
  }
}

// One head of one row to out. Rotation leaves a head's root mean square as it is.
inline void turn_head(const QkvRows& rows, std::int64_t row, const Heads& heads, int head,
                      float* out) {
  const int head_dim = rows.pools.head_dim, half = rows.rotary_dim / 2;
  const float* x = heads.x + static_cast<std::int64_t>(head) * head_dim;
  const bool whole = rows.norms == HeadNorms::whole_row;
  const bool after = rows.norms == HeadNorms::each_head_after_rotation;
  const float* weight = heads.norm && whole ? heads.norm + head * head_dim : heads.norm;
  if (after) weight = nullptr;
  float factor = heads.factor;
  if (after || rows.norms == HeadNorms::each_head) factor = inverse_rms(x, head_dim, rows.eps);
  const float *cos = rows.cos + row * half, *sin = rows.sin + row * half;
  const int begin = rows.rotary_begin;
  if (begin > 0) turn(x, begin, factor * heads.scale, weight, nullptr, nullptr, 0, out);
  if (weight) weight += begin;
  if (rows.interleaved)
    turn_neighbours(x + begin, head_dim - begin, factor * heads.scale, weight, cos, sin, half,
                    out + begin);
  else
    turn(x + begin, head_dim - begin, factor * heads.scale, weight, cos, sin, half, out + begin);
  if (after && heads.norm) weigh(heads.norm, head_dim, out);
}

// value [D] to out, divided by its root mean square unless eps < 0.
inline void copy_value(const float* value, int head_dim, float eps, float* out) {
  const Vf factor = set1(eps < 0 ? 1.0f : inverse_rms(value, head_dim, eps));
  for (int i = 0; i < head_dim; i += 16) {
    const int n = at_most_16(head_dim - i);
    store_piece(out + i, scaled(value + i, nullptr, n, factor), n);
  }
}

// A row's keys and values, as write(x, is_key, offset, run) puts one head's into its run; x may change.
template <class Write>
inline void store_row(const QkvRows& rows, std::int64_t row, const float* keys,
                      const Write& write) {
  const KvPools& pools = rows.pools;
  const int value_dim = pools.value_dim(), page_size = pools.page_size;
  const float* values = keys;
  if (rows.kv == KeyValues::apart)
    values += static_cast<std::int64_t>(pools.num_kv_heads) * pools.head_dim;
  const int page = rows.slots[row] / page_size, offset = rows.slots[row] % page_size;
  const Heads heads = heads_of(rows, keys, rows.k_norm, pools.num_kv_heads, 1.0f);
  for (int head = 0; head < pools.num_kv_heads; ++head) {
    alignas(64) float x[max_head_dim];
    turn_head(rows, row, heads, head, x);
    write(x, true, offset, key_run(pools, page, head));
    if (pools.values_in_keys) continue;
    copy_value(values + head * value_dim, value_dim, rows.value_norms ? rows.eps : -1.0f, x);
    write(x, false, offset, value_run(pools, page, head));
  }
}

template <class T>
inline void store_numbers(const QkvRows& rows, std::int64_t row, const float* keys) {
  const int head_dim = rows.pools.head_dim, page_size = rows.pools.page_size;
  const int value_dim = rows.pools.value_dim();
  store_row(rows, row, keys, [&](const float* x, bool is_key, int offset, void* run) {
    if (is_key)
      write_key(x, head_dim, page_size, static_cast<T*>(run) + offset);
    else
      write_value(x, value_dim,
                  static_cast<T*>(run) + static_cast<std::int64_t>(offset) * value_dim);
  });
}

inline void store_codes(const QkvRows& rows, std::int64_t row, const float* keys) {
  store_row(rows, row, keys, [&](float* x, bool is_key, int offset, void* run) {
    write_rotated(x, rows.pools, is_key, offset, run);
  });
}

inline void qkv(const QkvRows& rows, std::int64_t first, std::int64_t last) {
  const int head_dim = rows.pools.head_dim;
  for (std::int64_t row = first; row < last; ++row) {
    const float* x = rows.qkv + row * rows.qkv_stride;
    const Heads queries =
        heads_of(rows, x, rows.q_norm, rows.num_heads, rows.q_scales ? rows.q_scales[row] : 1.0f);
    for (int head = 0; head < rows.num_heads; ++head)
      turn_head(rows, row, queries, head, rows.q + row * rows.q_stride + head * head_dim);
    if (rows.kv == KeyValues::none || rows.slots[row] < 0) continue;
    const float* keys = x + rows.num_heads * head_dim;
    switch (rows.pools.format) {
      case KvFormat::f32:
        store_numbers<float>(rows, row, keys);
        break;
      case KvFormat::bf16:
        store_numbers<Bf16>(rows, row, keys);
        break;
      case KvFormat::f16:
        store_numbers<F16>(rows, row, keys);
        break;
      case KvFormat::int8:
      case KvFormat::int4:
        store_codes(rows, row, keys);
        break;
    }
  }
}

inline constexpr RopeKernels rope_kernels = {qkv};

}  // namespace pippin::cpu::PIPPIN_ISA
