// Attention by the CPU's kernels; ops.h's causal_attention and vision_attention come here where there
// is a backend.
#pragma once

#include <vector>

#include "kernels/ops.h"

namespace pippin::kernels {

/// As causal_attention, with layout.cpu set; the pools' memory is written in place. qkv is float32 and
/// must have no other reader, the pools are float32, float16, bfloat16 or codes.
mx::array cpu_attention(const mx::array& qkv, const AttentionSpec& spec, const RowPositions& rows,
                        const mx::array& k_pool, const mx::array& v_pool,
                        const PagedLayout& layout);

/// As vision_attention. qkv is float32.
mx::array cpu_vision_attention(const mx::array& qkv, int num_heads, const RopeAngles& angles,
                               const std::vector<int>& segment_ends, float scale,
                               const CpuBackendPtr& backend);

}  // namespace pippin::kernels
