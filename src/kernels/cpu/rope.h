// Head norms, rotary embedding and the KV write of a step's rows, over a Team.
#pragma once

#include "kernels/cpu/kernels.h"
#include "kernels/cpu/team.h"

namespace pippin::cpu {

/// Makes q ready for attention and puts the rows' keys and values where `slots` say, in one pass over
/// the projection's output. Two rows of one call must not share a slot.
/// Throws Error(invalid_argument) on a head_dim or rotary_dim that the kernels can't take.
void rope_and_store(Team& team, const Kernels& kernels, const QkvRows& rows, std::int64_t num_rows);

/// These throw Error(invalid_argument) on sizes that the kernels can't take.
void check_head_dim(int head_dim);
void check_pools(const KvPools& pools);

}  // namespace pippin::cpu
