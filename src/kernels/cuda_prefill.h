// Attention of prompts' chunks through pages on NVIDIA's GPUs: all chunks of a step in one launch.
#pragma once

#include <mlx/mlx.h>

#include "kernels/gpu/attention.h"

namespace pippin::kernels {

namespace mx = mlx::core;

/// Whether prefill_attention attends heads of D numbers of `dtype` over pools of `pool` by `executor`: an NVIDIA GPU from Ampere on,
/// bfloat16 or float16 for both, D in sixteens up to 256.
bool prefill_kernel_takes(const gpu::Executor* executor, int head_dim, mx::Dtype dtype,
                          mx::Dtype pool);

/// q [T, H, D]: each row of the chunks sees its context in the pools [slots, Hkv, D] up to itself, which must be written. Returns the rows of the
/// chunks alone, in their order, [rows, H * D] in q's dtype. A row's bits depend on the row alone, not on how its prompt was cut.
/// The algorithm is FlashAttention-2's (Dao 2023), over pages.
mx::array prefill_attention(gpu::Executor& executor, const mx::array& q, const mx::array& k_pool,
                            const mx::array& v_pool, const gpu::Chunks& chunks,
                            const gpu::DecodeOptions& options);

}  // namespace pippin::kernels
