// Products of few rows in what all GPUs have in common, and what may be done with them at once.
#pragma once

#include <mlx/mlx.h>

#include <optional>

#include "kernels/gpu/choice.h"
#include "kernels/gpu/kernel.h"

namespace pippin::kernels::gpu {

/// A matrix [N, K]: plain, or in MLX's affine quantization.
struct Matrix {
  mx::array weight;
  std::optional<mx::array> scales = {}, biases = {};
  int group_size = 0, bits = 0;  ///< 0: plain
  int outputs() const { return weight.shape(0); }
};

Use product_use(const mx::array& x, const Matrix& w, bool residual);

/// Whether product() takes x [T, K], and is chosen: up to 4 rows of a matrix of x's dtype, plain or of 4 or 8 bits in groups of 32 to 128.
bool multiplies(const Executor* executor, const mx::array& x, const Matrix& w,
                bool residual = false);

/// x W^T [T, N], + residual [T, N], in x's dtype; sums are float32. Where x is an rms_norm() that is only written down, its norm is part of it.
mx::array product(Executor& executor, const mx::array& x, const Matrix& w,
                  const std::optional<mx::array>& residual = {});

/// Silu of the first half of a product [T, 2 N] that is only written down, times the second half: [T, N], in one kernel. Absent for other arrays.
std::optional<mx::array> gated_product(Executor& executor, const mx::array& gate_up);

/// Whether rms_norm() takes x [T, K] and weight [K], and is chosen.
bool norms(const Executor* executor, const mx::array& x, const mx::array& weight);

/// x / rms(x) * weight.
mx::array rms_norm(Executor& executor, const mx::array& x, const mx::array& weight, float eps);

Use embedding_use(const mx::array& ids, const Matrix& table, mx::Dtype dtype);

/// Whether embed() takes ids int32 [T] and the table [V, K], and is chosen.
bool embeds(const Executor* executor, const mx::array& ids, const Matrix& table, mx::Dtype dtype);

/// Rows ids int32 [T] of a table [V, K]: [T, K] in dtype, its scales' or a plain table's own.
mx::array embed(Executor& executor, const mx::array& ids, const Matrix& table, mx::Dtype dtype);

}  // namespace pippin::kernels::gpu
