// The kernels as C++ functions, by kernel.
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

/// Each throws Error(internal) where the template arguments are none of those it was compiled for.
void emulate_paged_decode_parts(const EmulatedCall& call);
void emulate_merge_parts(const EmulatedCall& call);
void emulate_qk_norm_rope_write(const EmulatedCall& call);
void emulate_qk_norm_rope_rows(const EmulatedCall& call);
void emulate_gated(const EmulatedCall& call);
void emulate_product(const EmulatedCall& call);
void emulate_rms_norm(const EmulatedCall& call);
void emulate_embed(const EmulatedCall& call);
void emulate_rope_angles(const EmulatedCall& call);
void emulate_argmax_parts(const EmulatedCall& call);
void emulate_argmax_merge(const EmulatedCall& call);
void emulate_pick_tokens(const EmulatedCall& call);

/// See EmulatedCall.
std::string instance_of(const std::vector<TemplateArgument>& arguments);

}  // namespace pippin::kernels::gpu
