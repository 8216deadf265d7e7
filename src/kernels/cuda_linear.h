// Quantized products for few rows on NVIDIA's GPUs: what decoding a batch and reading a short prompt consist of.
#pragma once

#include <mlx/mlx.h>

#include <optional>

#include "kernels/weight.h"

namespace pippin::kernels {

namespace mx = mlx::core;

/// Whether the default device is an NVIDIA GPU from Ampere on.
bool has_matrix_units();

/// Whether few_rows_linear does x [T, K] times `w` on the default device: an NVIDIA GPU from Ampere on, 2 to 128 rows, or one of a large matrix, of
/// bfloat16 or float16 as the scales are, 4 or 8 bits in groups of 64 or 128, N in sixteens and K in 128s.
/// With a residual, one row of any matrix: the addition costs MLX a kernel more.
bool few_rows_kernel_takes(const mx::array& x, const QuantizedWeight& w, bool residual = false);

/// x [T, K] -> x W^T [T, N], + residual [T, N], in x's dtype; sums are float32, and a row's do not depend on the others.
mx::array few_rows_linear(const mx::array& x, const QuantizedWeight& w,
                          const std::optional<mx::array>& residual = {});

}  // namespace pippin::kernels
