// Recurrent layers over a Team.
#pragma once

#include "kernels/cpu/kernels.h"
#include "kernels/cpu/team.h"

namespace pippin::cpu {

/// All channels and rows. Few are done by the calling thread, which is sooner than waking others.
void short_conv(Team& team, const Kernels& kernels, const ShortConv& conv);
void gated_delta(Team& team, const Kernels& kernels, const GatedDelta& delta);

}  // namespace pippin::cpu
