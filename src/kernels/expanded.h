// Quantized matrices that are expanded before they multiply many rows.
#pragma once

#include <mlx/mlx.h>

#include "kernels/weight.h"

namespace pippin::kernels {

namespace mx = mlx::core;

/// Whether x [T, K] times `w` is faster by expanding w, or MLX's product of the two may fail.
bool worth_expanding(const mx::array& x, const QuantizedWeight& w);

/// W^T [K, N] in `dtype`.
mx::array expanded(const QuantizedWeight& w, mx::Dtype dtype);

}  // namespace pippin::kernels
