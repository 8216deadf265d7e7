// Products of bf16 numbers by bf16 numbers, added up in float32: what some processors do at twice
// float32's rate. For plain bf16 matrices and for the attention of vision towers.
//
// A product of two bf16 numbers is exact in float32, so that the only loss beside the order of additions is
// rounding the activations to bf16: 2^-9 of each at most, less than 8 bits a group lose, and what GPUs
// do in bf16.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/cpu/attention_kernels.h"
#include "kernels/cpu/linear_kernels.h"
#include "kernels/cpu/types.h"

namespace pippin::cpu {

/// Rows of activations: [rows, K], then a zero where K is odd.
struct Bf16Rows {
  Bf16* x;
  std::int64_t stride;  ///< numbers from row to row
};

/// From row to row: never a power of two, which would crowd one set of the cache.
constexpr std::int64_t bf16_stride(int k) { return (std::int64_t{k} + 31) / 32 * 32 + 32; }

/// One head's keys and values of a bidirectional segment: a run of bf16_packed numbers a tile of
/// key_tile keys, as panels of 16 rows like DensePanels': of keys over D, of values over the keys.
struct Bf16Keys {
  const Bf16* tiles;
  int num_keys;
};

constexpr std::int64_t bf16_packed(int head_dim) {
  return std::int64_t{key_tile} * (head_dim + padded(head_dim));
}

/// Null where the instruction set has no such products. A row's result has the same bits whatever the
/// other rows are.
struct Bf16Kernels {
  int tile_rows;    ///< what `dense` and `segment` compute at once
  int tile_panels;  ///< and `dense` of how many panels, of both matrices together

  /// Rounds rows of x, `stride` floats apart, to the nearest (ties to even).
  void (*round)(const float* x, std::int64_t stride, int rows, int k, const Bf16Rows& out);

  /// As LinearKernels::dense, for matrices in bf16. `sums` is for [rows, tile_panels, 16].
  void (*dense)(const DensePanels& w, const DensePanels* times, const Bf16Rows& x, int rows,
                int first, int last, const Output& out, float* sums);

  /// As AttentionKernels::pack and segment. Queries, keys, values and the softmax's weights are
  /// rounded to bf16, scores and sums are float32.
  void (*pack)(const float* k, const float* v, std::int64_t stride, int rows, int head_dim,
               const Turn& turn, Bf16* packed);
  void (*segment)(const Bf16Keys& keys, const float* q, std::int64_t q_stride, int rows,
                  int head_dim, const Turn& turn, float scale, float* out, std::int64_t out_stride,
                  float* scratch);
};

}  // namespace pippin::cpu
