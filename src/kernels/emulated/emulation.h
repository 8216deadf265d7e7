// The kernels of kernels/gpu as C++ functions, run by one thread of a CPU. For tests only.
#pragma once

#include "kernels/gpu/kernel.h"

namespace pippin::kernels::gpu {

/// A launch on host memory.
struct EmulatedCall {
  std::string instance;  ///< its template arguments in order, as "float32 128 8"
  std::vector<void*> in, out;
  std::array<int, 3> groups;
  int threads;
};

/// Throws Error(internal) where the kernel, or the call's template arguments, are none of those that were compiled.
void emulate(const Kernel& kernel, const EmulatedCall& call);

/// See EmulatedCall.
std::string instance_of(const std::vector<TemplateArgument>& arguments);

/// Runs kernels on this thread, at once.
std::unique_ptr<Executor> emulated_executor();
/// Likewise. Executor::make_player of the former gives it.
std::unique_ptr<Player> emulated_player();

}  // namespace pippin::kernels::gpu
