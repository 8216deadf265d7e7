// Quantized products for few rows on NVIDIA's GPUs: what decoding a batch and reading a short prompt consist of.
#pragma once

#include <mlx/mlx.h>

#include "kernels/weight.h"

namespace pippin::kernels {

namespace mx = mlx::core;

/// Whether few_rows_linear does x [T, K] times `w` on the default device: an NVIDIA GPU from Ampere on, 2 to 128 rows, or one of a large matrix, of
/// bfloat16 or float16 as the scales are, 4 or 8 bits in groups of 64 or 128, N in sixteens and K in 128s.
bool few_rows_kernel_takes(const mx::array& x, const QuantizedWeight& w);

/// x [T, K] -> x W^T [T, N] in x's dtype; sums are float32, and a row's do not depend on the others.
mx::array few_rows_linear(const mx::array& x, const QuantizedWeight& w);

}  // namespace pippin::kernels
