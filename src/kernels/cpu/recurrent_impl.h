// Recurrent layers on 16 lanes: 16 channels, or 16 values of a head, go through all rows by themselves. So a block's state stays in
// registers or in the first-level cache, and no order of additions depends on how rows are cut.
#pragma once

#include <cstdint>

#include "kernels/cpu/norm_impl.h"
#include "kernels/cpu/recurrent_kernels.h"
#include "kernels/cpu/state_scan_impl.h"

namespace pippin::cpu::PIPPIN_ISA {

// Taps 0: as many as the convolution has.
template <int Taps>
inline void conv_block(const ShortConv& conv, int at, int n) {
  const int taps = Taps > 0 ? Taps : conv.taps, width = conv.width;
  Vf weight[max_conv_taps], past[max_conv_taps];
  for (int t = 0; t < taps; ++t) weight[t] = load_piece(conv.weight + t * width + at, n);
  const Vf bias = conv.bias ? load_piece(conv.bias + at, n) : zero();
  for (int p = 0; p < conv.num_parts; ++p) {
    const StatePart& part = conv.parts[p];
    for (int t = 0; t + 1 < taps; ++t) past[t] = load_piece(part.state + t * width + at, n);
    for (int r = 0; r < part.rows; ++r) {
      const std::int64_t row = part.first_row + r;
      const float* x = conv.x + row * conv.x_stride + at;
      const Vf u = conv.gated ? load_piece(x, n) * load_piece(x + 2 * width, n) : load_piece(x, n);
      past[taps - 1] = u;
      Vf y = bias;
      for (int t = 0; t < taps; ++t) y = fma(weight[t], past[t], y);
      if (conv.gated) y = y * load_piece(x + width, n);
      if (conv.silu) y = silu(y);
      store_piece(conv.out + row * width + at, y, n);
      for (int t = 0; t + 1 < taps; ++t) past[t] = past[t + 1];
    }
    for (float* state : {part.state, part.save})
      for (int t = 0; state && t + 1 < taps; ++t) store_piece(state + t * width + at, past[t], n);
  }
}

inline void short_conv(const ShortConv& conv, std::int64_t first, std::int64_t last) {
  for (std::int64_t block = first; block < last; ++block) {
    const int at = static_cast<int>(block) * 16, n = conv.width - at < 16 ? conv.width - at : 16;
    if (conv.taps == 3)
      conv_block<3>(conv, at, n);
    else if (conv.taps == 4)
      conv_block<4>(conv, at, n);
    else
      conv_block<0>(conv, at, n);
  }
}

// One row through S [Dk, 16]; four sums each, added up in one order, hide the instruction's latency.
inline Vf delta_row(float* s, int key_dim, const float* q, const float* k, Vf v, float decay,
                    float beta) {
  const Vf g = set1(decay);
  Vf sums[4] = {zero(), zero(), zero(), zero()}, outs[4] = {zero(), zero(), zero(), zero()};
  for (int i = 0; i < key_dim; ++i) {
    const Vf x = load(s + 16 * i) * g;
    store(s + 16 * i, x);
    sums[i % 4] = fma(x, set1(k[i]), sums[i % 4]);
  }
  const Vf delta = (v - ((sums[0] + sums[1]) + (sums[2] + sums[3]))) * set1(beta);
  for (int i = 0; i < key_dim; ++i) {
    const Vf x = fma(delta, set1(k[i]), load(s + 16 * i));
    store(s + 16 * i, x);
    outs[i % 4] = fma(x, set1(q[i]), outs[i % 4]);
  }
  return (outs[0] + outs[1]) + (outs[2] + outs[3]);
}

inline void delta_block(const GatedDelta& d, int head, int at, int n) {
  alignas(64) float s[16 * max_delta_key_dim];
  const int key_head = head / (d.num_value_heads / d.num_key_heads);
  const std::int64_t place = std::int64_t{head} * d.key_dim * d.value_dim + at;
  for (int p = 0; p < d.num_parts; ++p) {
    const StatePart& part = d.parts[p];
    for (int i = 0; i < d.key_dim; ++i)
      store(s + 16 * i, load_piece(part.state + place + std::int64_t{i} * d.value_dim, n));
    for (int r = 0; r < part.rows; ++r) {
      const std::int64_t row = part.first_row + r, scalar = row * d.num_value_heads + head;
      const Vf v = load_piece(d.v + row * d.v_stride + head * d.value_dim + at, n);
      const Vf out = delta_row(s, d.key_dim, d.q + row * d.q_stride + key_head * d.key_dim,
                               d.k + row * d.k_stride + key_head * d.key_dim, v, d.decay[scalar],
                               d.beta[scalar]);
      store_piece(d.out + scalar * d.value_dim + at, out, n);
    }
    for (float* state : {part.state, part.save})
      for (int i = 0; state && i < d.key_dim; ++i)
        store_piece(state + place + std::int64_t{i} * d.value_dim, load(s + 16 * i), n);
  }
}

inline void gated_delta(const GatedDelta& d, std::int64_t first, std::int64_t last) {
  const int blocks = blocks_of(d.value_dim);
  for (std::int64_t i = first; i < last; ++i) {
    const int at = static_cast<int>(i % blocks) * 16;
    delta_block(d, static_cast<int>(i / blocks), at, d.value_dim - at < 16 ? d.value_dim - at : 16);
  }
}

// One group; sums run in an order that depends on the width alone.
inline void gated_norm_group(const GatedNorm& g, const float* x, const float* gate,
                             const float* weight, float* out) {
  Vf squares[4] = {zero(), zero(), zero(), zero()};
  for_pieces(g.width, [&](int i, int n, int chain) {
    Vf v = load_piece(x + i, n);
    if (g.gate_first) {
      v = v * silu(load_piece(gate + i, n));
      store_piece(out + i, v, n);
    }
    squares[chain] = fma(v, v, squares[chain]);
  });
  const float* h = g.gate_first ? out : x;
  const float width = static_cast<float>(g.width);
  const Vf scale = set1(weight ? 1.0f / __builtin_sqrtf(sum_of(squares) / width + g.eps) : 1.0f);
  for_pieces(g.width, [&](int i, int n, int) {
    Vf v = load_piece(h + i, n) * scale;
    if (weight) v = v * load_piece(weight + i, n);
    if (!g.gate_first) v = v * silu(load_piece(gate + i, n));
    store_piece(out + i, v, n);
  });
}

inline void gated_norm(const GatedNorm& g, std::int64_t first, std::int64_t last) {
  for (std::int64_t i = first; i < last; ++i) {
    const std::int64_t row = i / g.groups, group = i % g.groups, at = i * g.width;
    const float* gate = g.gate + row * g.gate_stride + group * g.width;
    const float* weight = g.weight && g.weight_by_group ? g.weight + group * g.width : g.weight;
    gated_norm_group(g, g.x + at, gate, weight, g.out + at);
  }
}

inline constexpr RecurrentKernels recurrent_kernels = {short_conv, gated_delta, state_scan,
                                                       gated_norm};

}  // namespace pippin::cpu::PIPPIN_ISA
