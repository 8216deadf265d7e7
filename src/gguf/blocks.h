// GGUF's block formats, as they are and as MLX's quantizations of the same values.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "gguf/file.h"

namespace pippin::gguf {

/// MLX's quantization that holds a format's values exactly: affine (w = scale q + bias), or mxfp4. bits 0: the format is
/// plain.
struct Quantization {
  int group = 0, bits = 0;
  bool mxfp4 = false;
  /// Scales and biases are float16 in the file; else they are products of 17 or 18 bits, which float32 holds.
  bool half_scales = false;
};
Quantization quantization_of(TensorType type);

/// Rows of K values in that quantization.
struct Quantized {
  std::vector<std::uint32_t>
      words;  ///< [rows, K * bits / 32]: value i lies in the bits [i * bits, (i + 1) * bits)
  std::vector<std::uint8_t> byte_scales;  ///< [rows, K / 32]; where mxfp4
  std::vector<float> scales, biases;      ///< [rows, K / group]; where affine
};

/// The same values. `blocks` are whole.
Quantized requantized(const BlockFormat& format, std::span<const std::uint8_t> blocks);

/// The values as floats, of any format.
std::vector<float> dequantized(const BlockFormat& format, std::span<const std::uint8_t> blocks);

}  // namespace pippin::gguf
