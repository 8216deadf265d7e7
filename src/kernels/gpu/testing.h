// Whose kernels a test runs. For tests only.
#pragma once

#include <gtest/gtest.h>

#include <memory>

#include "kernels/emulated/emulation.h"
#include "kernels/gpu/kernel.h"

namespace pippin::kernels::gpu::testing {

/// The GPU's where there is one, else the emulation.
inline Executor& tested() {
  if (auto* own = executor()) return *own;
  static const auto emulated = emulated_executor();
  return *emulated;
}

inline bool emulates() { return executor() == nullptr; }

}  // namespace pippin::kernels::gpu::testing
