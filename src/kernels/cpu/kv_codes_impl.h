// One token's key or value of one head as codes and a scale; see kv_pools.h.
#pragma once

#include "kernels/cpu/rotation_impl.h"

namespace pippin::cpu::PIPPIN_ISA {

/// Codes of a head, one a byte: levels, or indices of kv_levels.
struct HeadCodes {
  alignas(64) std::int8_t codes[max_head_dim];
  Bf16 scale;
};

inline Bf16 to_bf16(float x) {
  Bf16 lanes[16];
  store(lanes, set1(x));
  return lanes[0];
}

inline float inverse_or_zero(float x) { return x > 1e-30f ? 1.0f / x : 0.0f; }

inline float largest_of(const float* x, int head_dim) {
  Vf largest = zero();
  for (int i = 0; i < head_dim; i += 16)
    largest = max(largest, abs(load_piece(x + i, at_most_16(head_dim - i))));
  return max_of(largest);
}

// Levels from -128 to 127, the largest number at one of +-127.
inline void encode8(const float* x, int head_dim, HeadCodes& out) {
  out.scale = to_bf16(largest_of(x, head_dim) / 127.0f);
  const Vf inverse = set1(inverse_or_zero(widen(out.scale)));
  for (int i = 0; i < head_dim; i += 16)
    store_i8(out.codes + i, to_int(load_piece(x + i, at_most_16(head_dim - i)) * inverse));
}

// The level nearest to each number, and its index.
inline void nearest_level(Vf x, Vf& level, Vf& index) {
  level = set1(kv_levels[0]);
  index = zero();
  for (int i = 1; i < 16; ++i) {
    const float below = kv_levels[i - 1], above = kv_levels[i];
    const Mask reached = less(set1(0.5f * (below + above)), x);
    level = select(reached, set1(above), level);
    index = select(reached, set1(static_cast<float>(i)), index);
  }
}

// The largest number at the largest level, then the scale with the least square error for these levels.
inline void encode4(const float* x, int head_dim, HeadCodes& out) {
  const Vf to_levels = set1(127.0f * inverse_or_zero(largest_of(x, head_dim)));
  Vf products = zero(), squares = zero();
  for (int i = 0; i < head_dim; i += 16) {
    const int n = at_most_16(head_dim - i);
    const Vf v = load_piece(x + i, n);
    Vf level, index;
    nearest_level(v * to_levels, level, index);
    if (n < 16) level = select((Mask{1} << n) - 1, level, zero());
    products = fma(v, level, products);
    squares = fma(level, level, squares);
    store_i8(out.codes + i, to_int(index));
  }
  out.scale = to_bf16(sum(products) / sum(squares));
}

// ---- into a run; `offset` is the token's place in the page

inline void write_codes8(const HeadCodes& head, int head_dim, std::int64_t stride, Code8* to) {
  for (int d = 0; d < head_dim; ++d) to[d * stride].level = head.codes[d];
}

inline Code4 pair_of(const HeadCodes& head, int low, int high) {
  return {static_cast<std::uint8_t>(head.codes[low] | head.codes[high] << 4)};
}

inline void write_key_codes4(const HeadCodes& head, int head_dim, int page_size, Code4* to) {
  for (int i = 0; 2 * i < head_dim; ++i) to[i * page_size] = pair_of(head, 2 * i, 2 * i + 1);
}

inline void write_value_codes4(const HeadCodes& head, int head_dim, Code4* to) {
  for (int first = 0; first < head_dim; first += 32) {
    const int half = at_most_16((head_dim - first) / 2);
    for (int i = 0; i < half; ++i) *to++ = pair_of(head, first + i, first + half + i);
  }
}

// Where the scales of a run of heads begin.
inline Bf16* scales_of(const KvPools& pools, int head_dim, void* run) {
  const int code_bytes = kv_row_bytes(pools.format, head_dim) - 2;
  return reinterpret_cast<Bf16*>(static_cast<char*>(run) + pools.page_size * code_bytes);
}

// Rotates x [D], encodes it and writes it to its run.
inline void write_rotated(float* x, const KvPools& pools, bool is_key, int offset, void* run) {
  const int head_dim = is_key ? pools.head_dim : pools.value_dim(), page_size = pools.page_size;
  HeadCodes head;
  rotate(x, head_dim, is_key ? key_rotation(pools) : value_rotation(pools));
  if (pools.format == KvFormat::int8) {
    encode8(x, head_dim, head);
    auto* codes = static_cast<Code8*>(run);
    write_codes8(head, head_dim, is_key ? page_size : 1,
                 codes + (is_key ? offset : offset * head_dim));
  } else {
    encode4(x, head_dim, head);
    auto* codes = static_cast<Code4*>(run);
    if (is_key)
      write_key_codes4(head, head_dim, page_size, codes + offset);
    else
      write_value_codes4(head, head_dim, codes + offset * (head_dim / 2));
  }
  scales_of(pools, head_dim, run)[offset] = head.scale;
}

}  // namespace pippin::cpu::PIPPIN_ISA
