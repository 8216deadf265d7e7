// Mamba-2's scan on 16 lanes, which are 16 values of a head. A chunk of rows passes a few of the state's numbers at a time, which stay
// in registers meanwhile; so the state is read and written once a chunk, not once a row. A row's sum runs over the state in
// order, whatever the chunks are.
#pragma once

#include <cstdint>

#include "kernels/cpu/norm_impl.h"
#include "kernels/cpu/recurrent_kernels.h"

namespace pippin::cpu::PIPPIN_ISA {

inline constexpr int scan_rows =
    16;                              ///< of a chunk: one a lane where their time steps are computed
inline constexpr int scan_tile = 8;  ///< numbers of the state in registers

/// What one block needs of a chunk's rows, side by side.
struct ScanChunk {
  alignas(64) float b[scan_rows * max_scan_state];
  alignas(64) float c[scan_rows * max_scan_state];
  alignas(64) float input[16 * scan_rows];  ///< dt * x
  alignas(64) float y[16 * scan_rows];
  alignas(64) float dt[scan_rows];
  alignas(64) float decay[scan_rows];
};

// log(1 + e^x) = max(x, 0) + log(1 + u) with u = e^-|x|, and log(1 + u) = 2 artanh(u / (2 + u)), whose series ends soon
// since its argument is at most a third.
inline Vf softplus(Vf x) {
  const Vf u = exp(zero() - abs(x));
  const Vf z = u / (set1(2.0f) + u), square = z * z;
  Vf p = set1(1.0f / 15);
  for (const float c : {1.0f / 13, 1.0f / 11, 1.0f / 9, 1.0f / 7, 1.0f / 5, 1.0f / 3, 1.0f})
    p = fma(p, square, set1(c));
  return max(x, zero()) + (z + z) * p;
}

inline void copy_row(float* to, const float* from, int n) {
  for_pieces(
      n, [&](int i, int count, int) { store_piece(to + i, load_piece(from + i, count), count); });
}

inline void load_chunk(const StateScan& s, std::int64_t row, int rows, int head, int at, int n,
                       ScanChunk& chunk) {
  const std::int64_t group = head / (s.num_heads / s.num_groups) * s.state_dim;
  for (int r = 0; r < scan_rows; ++r)
    chunk.dt[r] = r < rows ? s.step[(row + r) * s.step_stride + head] : 0.0f;
  Vf dt = softplus(load(chunk.dt) + set1(s.step_bias[head]));
  dt = min(max(dt, set1(s.min_step)), set1(s.max_step));
  store(chunk.dt, dt);
  store(chunk.decay, exp(dt * set1(-s.rate[head])));
  for (int r = 0; r < rows; ++r) {
    const std::int64_t from = (row + r) * s.row_stride;
    copy_row(chunk.b + r * s.state_dim, s.b + from + group, s.state_dim);
    copy_row(chunk.c + r * s.state_dim, s.c + from + group, s.state_dim);
    const Vf x = load_piece(s.x + from + head * s.head_dim + at, n);
    store(chunk.input + 16 * r, x * set1(chunk.dt[r]));
    store(chunk.y + 16 * r, x * set1(s.skip[head]));
  }
}

// Numbers [i, i + Tile) of the state, for all rows of the chunk.
template <int Tile>
inline void scan_numbers(ScanChunk& chunk, int rows, int state_dim, int i, float* state) {
  Vf s[Tile];
  for (int t = 0; t < Tile; ++t) s[t] = load(state + 16 * (i + t));
  for (int r = 0; r < rows; ++r) {
    const Vf decay = set1(chunk.decay[r]), input = load(chunk.input + 16 * r);
    const float *b = chunk.b + r * state_dim + i, *c = chunk.c + r * state_dim + i;
    Vf y = load(chunk.y + 16 * r);
    for (int t = 0; t < Tile; ++t) {
      s[t] = fma(input, set1(b[t]), s[t] * decay);
      y = fma(s[t], set1(c[t]), y);
    }
    store(chunk.y + 16 * r, y);
  }
  for (int t = 0; t < Tile; ++t) store(state + 16 * (i + t), s[t]);
}

inline void scan_block(const StateScan& s, int head, int at, int n) {
  alignas(64) float state[16 * max_scan_state];
  ScanChunk chunk;
  const std::int64_t place = std::int64_t{head} * s.state_dim * s.head_dim + at;
  for (int p = 0; p < s.num_parts; ++p) {
    const StatePart& part = s.parts[p];
    for (int i = 0; i < s.state_dim; ++i)
      store(state + 16 * i, load_piece(part.state + place + std::int64_t{i} * s.head_dim, n));
    for (int begin = 0; begin < part.rows; begin += scan_rows) {
      const int rows = part.rows - begin < scan_rows ? part.rows - begin : scan_rows;
      const std::int64_t row = part.first_row + begin;
      load_chunk(s, row, rows, head, at, n, chunk);
      int i = 0;
      for (; i + scan_tile <= s.state_dim; i += scan_tile)
        scan_numbers<scan_tile>(chunk, rows, s.state_dim, i, state);
      for (; i < s.state_dim; ++i) scan_numbers<1>(chunk, rows, s.state_dim, i, state);
      for (int r = 0; r < rows; ++r)
        store_piece(s.out + ((row + r) * s.num_heads + head) * s.head_dim + at,
                    load(chunk.y + 16 * r), n);
    }
    for (float* to : {part.state, part.save})
      for (int i = 0; to && i < s.state_dim; ++i)
        store_piece(to + place + std::int64_t{i} * s.head_dim, load(state + 16 * i), n);
  }
}

inline void state_scan(const StateScan& s, std::int64_t first, std::int64_t last) {
  const int blocks = blocks_of(s.head_dim);
  for (std::int64_t i = first; i < last; ++i) {
    const int at = static_cast<int>(i % blocks) * 16;
    scan_block(s, static_cast<int>(i / blocks), at, s.head_dim - at < 16 ? s.head_dim - at : 16);
  }
}

}  // namespace pippin::cpu::PIPPIN_ISA
