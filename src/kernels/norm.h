// Norms over the last axis.
#pragma once

#include <mlx/mlx.h>

#include <optional>

#include "kernels/cpu_backend.h"

namespace pippin::kernels {

/// What may follow a norm: (residual + its result) * factor.
struct NormEpilogue {
  std::optional<mx::array> residual = {};  ///< [T, D]
  float factor = 1;                        ///< where there is a residual
};

/// x / rms(x) * weight: x [T, D], weight [D]; by the backend's kernels where there is one.
mx::array rms_norm(const mx::array& x, const mx::array& weight, float eps,
                   const CpuBackendPtr& backend, const NormEpilogue& epilogue = {});

/// (x - mean) / std * weight + bias: x [T, D], weight and bias [D].
mx::array layer_norm(const mx::array& x, const mx::array& weight, const mx::array& bias, float eps,
                     const CpuBackendPtr& backend, const NormEpilogue& epilogue = {});

}  // namespace pippin::kernels
