// The instruction sets that tests run under. For tests only.
#pragma once

#include <vector>

#include "base/sanitized.h"
#include "kernels/cpu/isa.h"

namespace pippin::cpu {

/// All of this machine. Under sanitizers, which watch the scalar kernels alone (CMakeLists.txt): the plainest and the widest.
inline std::vector<Isa> tested_isas() {
  const auto all = available_isas();
  if (!sanitized || all.size() == 1) return all;
  return {all.front(), all.back()};
}

}  // namespace pippin::cpu
