// Norms over the last axis.
#pragma once

#include <mlx/mlx.h>

#include "kernels/cpu_backend.h"

namespace pippin::kernels {

/// x / rms(x) * weight: x [T, D], weight [D]; by the backend's kernels where there is one.
mx::array rms_norm(const mx::array& x, const mx::array& weight, float eps,
                   const CpuBackendPtr& backend);

/// (x - mean) / std * weight + bias: x [T, D], weight and bias [D].
mx::array layer_norm(const mx::array& x, const mx::array& weight, const mx::array& bias, float eps,
                     const CpuBackendPtr& backend);

}  // namespace pippin::kernels
