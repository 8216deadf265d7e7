// Matrix products y = x W^T: the weights' layout, and one thread's share of the work.
//
// A weight matrix [N, K] is cut into panels of 16 rows; N is padded with zero rows. Within a panel
// everything lies in the order in which it is read. K is a multiple of the quantization's group; G = K /
// group.
#pragma once

#include <cstddef>
#include <cstdint>

namespace pippin::cpu {

inline constexpr int panel_rows = 16;

/// How numbers of a checkpoint are stored.
enum class Format { f32, bf16, f16 };

/// What the bits of a quantized matrix stand for, as MLX's modes of the same names have it.
enum class Scheme {
  affine,  ///< w = scale * q + bias
  mxfp4,   ///< w = 2^(scale - 127) * q, q of 4 bits (E2M1), a byte of scale for 32 of them
  nvfp4,  ///< w = scale * q, q as above, scale of 8 bits (E4M3) for 16 of them, and one for the whole matrix
  mxfp8,  ///< w = 2^(scale - 127) * q, q of 8 bits (E4M3), a byte of scale for 32 of them
};

/// A quantized matrix. A panel holds G blocks; a block holds
///   where affine, the 16 rows' scales and biases: interleaved 16-bit pairs (64 bytes), or for f32 16 scales and
///     then 16 biases (128 bytes); else a panel begins with the scales of all blocks, 16 bytes each, padded to 64;
///   lines of 64 bytes, byte 4 r + j belonging to row r. 4 bits: line v has k = 4 v + j in the low
///     nibble and k = group / 2 + 4 v + j in the high one. 8 bits: line v has k = 4 v + j.
/// So one line is one AVX-512 register, two AVX2 or four NEON registers, and four neighbouring k of a
/// row are what their byte-product instructions add up.
/// Sizes are inlined always, in DensePanels, too: left out of line they have the instructions of one set, and serve all
/// (tools/check_isa).
struct QuantizedPanels {
  const std::uint8_t* data;
  int n, k;
  int group;            ///< 32, 64 or 128; 16 for nvfp4, and affine where bits are 8
  int bits;             ///< 4 or 8: others are stored in the next larger
  Format scale_format;  ///< where affine
  Scheme scheme = Scheme::affine;
  float factor = 1;  ///< of all scales; where not affine

  /// Whether there are products with activations of 8 bits: the numbers are multiples of one of 8 bits.
  bool has_integers() const { return scheme == Scheme::affine || scheme == Scheme::mxfp4; }
  [[gnu::always_inline]] int header_bytes() const {
    if (scheme != Scheme::affine) return 0;
    return scale_format == Format::f32 ? 128 : 64;
  }
  [[gnu::always_inline]] int block_bytes() const {
    return header_bytes() + panel_rows * group * bits / 8;
  }
  int num_panels() const { return (n + panel_rows - 1) / panel_rows; }
  /// Before the blocks.
  [[gnu::always_inline]] std::size_t scales_bytes() const {
    if (scheme == Scheme::affine) return 0;
    return (static_cast<std::size_t>(k / group) * panel_rows + 63) / 64 * 64;
  }
  [[gnu::always_inline]] std::size_t panel_bytes() const {
    return scales_bytes() +
           static_cast<std::size_t>(k / group) * static_cast<std::size_t>(block_bytes());
  }
};

/// A plain matrix; a panel is [K, 16] in the given format. bf16 lies in pairs of k, [K / 2, 16, 2], which
/// is what products of bf16 take; an odd K is padded with zeros.
struct DensePanels {
  const std::uint8_t* data;
  int n, k;
  Format format;

  int num_panels() const { return (n + panel_rows - 1) / panel_rows; }
  [[gnu::always_inline]] int padded_k() const {
    return format == Format::bf16 ? (k + 1) / 2 * 2 : k;
  }
  [[gnu::always_inline]] std::size_t panel_bytes() const {
    return static_cast<std::size_t>(padded_k()) * panel_rows * (format == Format::f32 ? 4 : 2);
  }
  /// Where a panel's number of its row r lies.
  [[gnu::always_inline]] std::size_t at(int r, int i) const {
    return static_cast<std::size_t>(format == Format::bf16 ? i / 2 * 32 + 2 * r + i % 2
                                                           : i * panel_rows + r);
  }
};

/// Rows of x in 8 bits: x = scale * q with one scale a group, |q| <= 127. Tiles of `tile` rows (m; the
/// last may have fewer) follow each other; a tile is q [G, m, group], scales and sums [G, m].
/// sums[g] = scale * (sum of the group's q), which the weights' bias is multiplied by: taking the sum
/// of q, not of x, makes the product exact for the activations as quantized.
struct QuantizedRows {
  std::int8_t* q;
  float* scales;
  float* sums;
  int tile;  ///< rows, at most the kernels' tile_rows
};

/// What a panel of k values a row takes where it is unpacked.
constexpr std::size_t unpacked_bytes(int k, int bits) {
  return std::size_t{panel_rows} * static_cast<std::size_t>(bits == 4 ? k : 2 * k);
}

enum class Activation {
  none,
  silu,
  gelu,
  gelu_tanh,
  relu_squared,
  /// gpt-oss's gate: min(x, 7) * sigmoid(1.702 x). What it multiplies is clipped to [-7, 7], and 1 is added.
  clipped_swiglu,
};

/// Where results go and what happens to them on the way:
/// out[m, n] = residual[m, n] + activation(y[m, n] + bias[n]) (times the second product + times_bias[n],
/// where there is one, and times factor[m, n]).
struct Output {
  float* out;
  std::int64_t stride;                ///< floats from row to row of out
  const float* bias = nullptr;        ///< [N] or none
  const float* times_bias = nullptr;  ///< [N] of the second product, or none
  const float* factor = nullptr;      ///< [rows, N] or none
  std::int64_t factor_stride = 0;
  const float* residual = nullptr;  ///< [rows, N] or none, may be `out`
  std::int64_t residual_stride = 0;
  Activation activation = Activation::none;
};

/// A row's result has the same bits whatever the other rows of the call are: its sum runs over k (or
/// the groups) in order, in one accumulator.
struct LinearKernels {
  int tile_rows;        ///< the largest tile of QuantizedRows
  int dense_tile_rows;  ///< what `dense` computes at once; a hint for cutting the work
  int unpack_rows;      ///< from so many rows on, `quantized` needs memory; 0: never

  /// Quantizes one tile: `rows` rows of x, `stride` floats apart, K values each.
  void (*quantize)(const float* x, std::int64_t stride, int rows, int k, int group,
                   const QuantizedRows& tile);

  /// Panels [first, last) for all rows. `times` may be null: else a second matrix of the same shape
  /// and layout whose product is multiplied in (SwiGLU: activation silu, `times` the up projection).
  /// `memory` is of unpacked_bytes for each matrix, where it is needed.
  void (*quantized)(const QuantizedPanels& w, const QuantizedPanels* times, const QuantizedRows& x,
                    int rows, int first, int last, const Output& out, std::uint8_t* memory);

  /// The same with activations in float32, as exact as the order of additions allows.
  /// x [rows, K], `stride` floats from row to row.
  void (*quantized_exact)(const QuantizedPanels& w, const QuantizedPanels* times, const float* x,
                          std::int64_t stride, int rows, int first, int last, const Output& out);

  void (*dense)(const DensePanels& w, const DensePanels* times, const float* x, std::int64_t stride,
                int rows, int first, int last, const Output& out);
};

}  // namespace pippin::cpu
