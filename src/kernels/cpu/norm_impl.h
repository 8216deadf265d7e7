// RMS and layer norm on 16 lanes. A row is read from memory once: later passes find it in the
// first-level cache. Four chains of additions hide the instruction's latency.
#pragma once

#include <cstdint>

#include "kernels/cpu/norm_kernels.h"

namespace pippin::cpu::PIPPIN_ISA {

// Calls body(i, n, chain) for the pieces of a row: n is 16, but for a shorter last one.
template <class Body>
inline __attribute__((always_inline)) void for_pieces(int width, const Body& body) {
  int i = 0;
  for (; i + 64 <= width; i += 64) {
#pragma GCC unroll 4
    for (int chain = 0; chain < 4; ++chain) body(i + 16 * chain, 16, chain);
  }
  for (; i + 16 <= width; i += 16) body(i, 16, 0);
  if (i < width) body(i, width - i, 0);
}

inline Vf load_piece(const float* p, int n) { return n == 16 ? load(p) : load_first(p, n); }
inline void store_piece(float* p, Vf x, int n) {
  if (n == 16)
    store(p, x);
  else
    store_first(p, x, n);
}
inline float sum_of(const Vf (&chains)[4]) {
  return sum((chains[0] + chains[1]) + (chains[2] + chains[3]));
}

// Row h of the norm, written to `sum` where it has to be computed, while visit(h, n, chain) sees it.
template <class Visit>
inline __attribute__((always_inline)) const float* residual_row(const Norm& norm, std::int64_t row,
                                                                const Visit& visit) {
  const std::int64_t at = row * norm.width;
  const float* x = norm.x + at;
  if (!norm.add) {
    for_pieces(norm.width, [&](int i, int n, int chain) { visit(load_piece(x + i, n), n, chain); });
    return x;
  }
  const float* add = norm.add + at;
  float* h = norm.sum + at;
  for_pieces(norm.width, [&](int i, int n, int chain) {
    const Vf v = load_piece(x + i, n) + load_piece(add + i, n);
    store_piece(h + i, v, n);
    visit(v, n, chain);
  });
  return h;
}

// out = (h - mean) * scale * weight + bias, and what follows a norm
inline void write_row(const Norm& norm, std::int64_t row, const float* h, float mean, float scale) {
  const Vf s = set1(scale), m = set1(mean), factor = set1(norm.factor);
  float* out = norm.out + row * norm.width;
  const float* residual = norm.residual ? norm.residual + row * norm.width : nullptr;
  for_pieces(norm.width, [&](int i, int n, int) {
    Vf v = (load_piece(h + i, n) - m) * s;
    if (norm.weight) v = v * load_piece(norm.weight + i, n);
    if (norm.bias) v = v + load_piece(norm.bias + i, n);
    if (residual) v = (load_piece(residual + i, n) + v) * factor;
    store_piece(out + i, v, n);
  });
}

inline void rms_norm(const Norm& norm, std::int64_t first, std::int64_t last) {
  const float width = static_cast<float>(norm.width);
  for (std::int64_t row = first; row < last; ++row) {
    Vf squares[4] = {zero(), zero(), zero(), zero()};
    const float* h = residual_row(
        norm, row, [&](Vf v, int, int chain) { squares[chain] = fma(v, v, squares[chain]); });
    const float scale = 1.0f / __builtin_sqrtf(sum_of(squares) / width + norm.eps);
    write_row(norm, row, h, 0.0f, scale);
  }
}

// The variance is taken from the mean, not from the squares: a large mean would drown it.
inline void layer_norm(const Norm& norm, std::int64_t first, std::int64_t last) {
  const float width = static_cast<float>(norm.width);
  for (std::int64_t row = first; row < last; ++row) {
    Vf sums[4] = {zero(), zero(), zero(), zero()};
    const float* h =
        residual_row(norm, row, [&](Vf v, int, int chain) { sums[chain] = sums[chain] + v; });
    const float mean = sum_of(sums) / width;
    Vf squares[4] = {zero(), zero(), zero(), zero()};
    for_pieces(norm.width, [&](int i, int n, int chain) {
      Vf v = load_piece(h + i, n) - set1(mean);
      if (n < 16) v = select((Mask{1} << n) - 1, v, zero());
      squares[chain] = fma(v, v, squares[chain]);
    });
    const float scale = 1.0f / __builtin_sqrtf(sum_of(squares) / width + norm.eps);
    write_row(norm, row, h, mean, scale);
  }
}

inline constexpr NormKernels norm_kernels = {rms_norm, layer_norm};

}  // namespace pippin::cpu::PIPPIN_ISA
