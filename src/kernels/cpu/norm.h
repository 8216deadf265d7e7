// Norms of rows over a Team.
#pragma once

#include <cstdint>

#include "kernels/cpu/kernels.h"
#include "kernels/cpu/team.h"

namespace pippin::cpu {

/// The norm of all rows. Few rows are done by the calling thread, which is sooner than waking others.
void rms_norm(Team& team, const Kernels& kernels, const Norm& norm, std::int64_t rows);
void layer_norm(Team& team, const Kernels& kernels, const Norm& norm, std::int64_t rows);

}  // namespace pippin::cpu
