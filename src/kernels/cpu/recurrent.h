// Recurrent layers over a Team.
#pragma once

#include "kernels/cpu/kernels.h"
#include "kernels/cpu/team.h"

namespace pippin::cpu {

/// All channels and rows. Few are done by the calling thread, which is sooner than waking others.
void short_conv(Team& team, const Kernels& kernels, const ShortConv& conv);
void gated_delta(Team& team, const Kernels& kernels, const GatedDelta& delta);
void state_scan(Team& team, const Kernels& kernels, const StateScan& scan);
void gated_norm(Team& team, const Kernels& kernels, const GatedNorm& norm, std::int64_t rows);

}  // namespace pippin::cpu
