// Attention in segments on bf16 pairs: both products are those of bf16_impl.h's tiles, by panels of keys and
// by panels of values.
#pragma once

#include <cstring>

#include "kernels/cpu/attention_impl.h"
#include "kernels/cpu/bf16_impl.h"

namespace pippin::cpu::PIPPIN_ISA {

#ifdef PIPPIN_BF16_DOT

// From one row of the softmax's weights to the next.
inline constexpr std::int64_t weight_stride = bf16_stride(key_tile);

// Key j of a tile, in pairs of D.
inline void pack_key(const Bf16* key, int pairs, int j, Bf16* keys) {
  Bf16* to = keys + j / 16 * pairs * 32 + 2 * (j % 16);
  for (int i = 0; i < pairs; ++i) std::memcpy(to + 32 * i, key + 2 * i, 2 * sizeof(Bf16));
}

// Values j and j + 1 of a tile, one number of each a pair.
inline void pack_values(const Bf16* first, const Bf16* second, int width, int j, Bf16* values) {
  Bf16* to = values + j * 16;
  for (int i = 0; i < width; i += 16, to += key_tile * 16)
    for (int lane = 0; lane < 16; ++lane) {
      to[2 * lane] = first[i + lane];
      to[2 * lane + 1] = second[i + lane];
    }
}

// One tile of keys and values; those beyond `rows` are zeros, which weigh nothing.
inline void pack_bf16(const float* k, const float* v, std::int64_t stride, int rows, int head_dim,
                      const Turn& angles, Bf16* packed) {
  const int pairs = head_dim / 2, width = padded(head_dim);
  Bf16* values = packed + key_tile * head_dim;
  alignas(64) Bf16 key[max_head_dim], pair[2][max_head_dim];
  for (int j = 0; j < key_tile; ++j) {
    alignas(64) float head[max_head_dim];
    if (j < rows) {
      copy_turned(k + j * stride, j, head_dim, 1.0f, angles, head);
      round_rows(head, 0, 1, head_dim, {key, 0});
      for (int i = 0; i < width; i += 16)
        store(pair[j % 2] + i, load_piece(v + j * stride + i, at_most_16(head_dim - i)));
    } else {
      std::memset(key, 0, sizeof(key));
      std::memset(pair[j % 2], 0, sizeof(pair[0]));
    }
    pack_key(key, pairs, j, packed);
    if (j % 2 == 1) pack_values(pair[0], pair[1], width, j - 1, values);
  }
}

// MT rows of queries over one tile of `count` keys. p is for [MT, key_tile] scores, and behind them
// their weights in bf16.
template <int MT>
inline void attend_bf16(const Bf16* tile, int count, const Bf16Rows& q, int head_dim, float* states,
                        float* p) {
  const int pairs = head_dim / 2, width = padded(head_dim), record = state_floats(head_dim);
  const Bf16* keys[key_blocks];
  for (int b = 0; b < key_blocks; ++b) keys[b] = tile + b * pairs * 32;
  add_pairs<MT, key_blocks>(keys, pairs, q, p, key_tile, true);
  const Bf16Rows weights = {reinterpret_cast<Bf16*>(p + MT * key_tile), weight_stride};
  for (int m = 0; m < MT; ++m) {
    float* state = states + m * record;
    for (int b = (count + 15) / 16; b < key_blocks; ++b) store(p + m * key_tile + 16 * b, zero());
    const float factor = soften(p + m * key_tile, nullptr, nullptr, 0, (count + 15) / 16, 0, count,
                                state + width, state + width + 16);
    for (int i = 0; i < width && factor != 1.0f; i += 16)
      store(state + i, load(state + i) * set1(factor));
  }
  round_rows(p, key_tile, MT, key_tile, weights);
  const Bf16* values = tile + key_tile * head_dim;
  int i = 0;
  for (; i + 64 <= width; i += 64) {
    const Bf16* at[4];
    for (int b = 0; b < 4; ++b) at[b] = values + (i + 16 * b) * key_tile;
    add_pairs<MT, 4>(at, key_tile / 2, weights, states + i, record, false);
  }
  for (; i < width; i += 16) {
    const Bf16* const at[1] = {values + i * key_tile};
    add_pairs<MT, 1>(at, key_tile / 2, weights, states + i, record, false);
  }
}

inline void segment_bf16(const Bf16Keys& keys, const float* q, std::int64_t q_stride, int rows,
                         int head_dim, const Turn& angles, float scale, float* out,
                         std::int64_t out_stride, float* memory) {
  const Scratch scratch(memory, head_dim, rows);
  const Bf16Rows queries = {reinterpret_cast<Bf16*>(scratch.q), bf16_stride(head_dim)};
  for (int row = 0; row < rows; ++row) {
    alignas(64) float head[max_head_dim];
    copy_turned(q + row * q_stride, row, head_dim, scale, angles, head);
    round_rows(head, 0, 1, head_dim, {queries.x + row * queries.stride, 0});
  }
  clear_states(scratch.pieces, rows, head_dim);
  const std::int64_t record = state_floats(head_dim);
  for (int start = 0; start < keys.num_keys; start += key_tile) {
    const Bf16* tile = keys.tiles + start / key_tile * bf16_packed(head_dim);
    const int left = keys.num_keys - start, count = left < key_tile ? left : key_tile;
    for_tiles<bf16_tile_rows>(rows, [&](auto mt, int first) {
      attend_bf16<decltype(mt)::value>(tile, count,
                                       {queries.x + first * queries.stride, queries.stride},
                                       head_dim, scratch.pieces + first * record, scratch.p);
    });
  }
  for (int row = 0; row < rows; ++row)
    finish_state(scratch.pieces + row * record, head_dim, nullptr, out + row * out_stride);
}

inline constexpr Bf16Kernels bf16_kernels = {bf16_tile_rows, bf16_tile_panels, round_rows,
                                             dense_bf16,     pack_bf16,        segment_bf16};

#else

inline constexpr Bf16Kernels bf16_kernels = {0, 0, nullptr, nullptr, nullptr, nullptr};

#endif

}  // namespace pippin::cpu::PIPPIN_ISA
