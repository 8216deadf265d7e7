// A launch's kernel as a program of its own for NVRTC, without MLX's or CUDA's headers.
#pragma once

#include <string>

#include "kernels/gpu/plan.h"

namespace pippin::kernels::gpu {

/// The kernel's name in its program.
std::string kernel_symbol(const Kernel& kernel);

/// CUDA C++ with one kernel, kernel_symbol(), whose parameters are the launch's inputs and outputs in order.
std::string cuda_source(const PlannedLaunch& launch);

}  // namespace pippin::kernels::gpu
