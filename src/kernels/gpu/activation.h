// Activations between products.
#pragma once

#include <mlx/mlx.h>

#include "kernels/gpu/kernel.h"

namespace pippin::kernels::gpu {

/// Whether there is a kernel for gate_up [T, 2 N], and it is chosen.
bool gates(const Executor* executor, const mx::array& gate_up);

/// silu(gate) * up of gate_up [T, 2 N], gate first: [T, N].
mx::array gated(Executor& executor, const mx::array& gate_up);

}  // namespace pippin::kernels::gpu
