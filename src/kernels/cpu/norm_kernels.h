// Normalisation of rows, with a residual addition before or behind it: one thread's share.
#pragma once

#include <cstdint>

namespace pippin::cpu {

/// out = (h - mean) / sqrt(variance + eps) * weight + bias, with h = x, or x + add where there is one;
/// an RMS norm takes the mean as zero. Where there is a residual, out = (residual + that) * factor. All rows are float32, [rows, width], one after the other.
struct Norm {
  const float* x;
  const float* add = nullptr;     ///< the residual branch, or none
  float* sum = nullptr;           ///< gets h where `add` is there; may be `x` or `add`
  float* out;                     ///< may be `x` or `add`, never `sum`
  const float* weight = nullptr;  ///< [width], or none for ones
  const float* bias = nullptr;    ///< [width], or none
  int width;
  float eps;
  const float* residual = nullptr;  ///< joins the norm's result, or none; may be `out`
  float factor = 1;                 ///< of both
};

/// Rows [first, last). A row's sums run in an order that depends on the width alone.
struct NormKernels {
  void (*rms_norm)(const Norm& norm, std::int64_t first, std::int64_t last);
  void (*layer_norm)(const Norm& norm, std::int64_t first, std::int64_t last);
};

}  // namespace pippin::cpu
