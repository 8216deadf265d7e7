// What check-gpu prints.
#pragma once

#include <string>
#include <vector>

#include "pippin/engine.h"

namespace pippin {

/// A line for each proof, for people to read and to send.
std::string kernel_table(const std::vector<KernelProof>& proofs);

}  // namespace pippin
