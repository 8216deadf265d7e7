// Everything that an isa_*.cpp compiles, from the macro PIPPIN_ISA (the namespace, which is also the
// name in Isa) and its simd_*.h. All functions lie in that namespace: an inline function shared with
// other translation units could be kept by the linker in the version that this machine lacks the
// instructions for (tools/check_isa holds the objects to that).
#pragma once

#include "kernels/cpu/attention_impl.h"
#include "kernels/cpu/bf16_attention_impl.h"
#include "kernels/cpu/linear_impl.h"
#include "kernels/cpu/norm_impl.h"
#include "kernels/cpu/recurrent_impl.h"
#include "kernels/cpu/rope_impl.h"
#include "kernels/cpu/sampling_impl.h"
#include "kernels/cpu/simd_impl.h"
#include "kernels/cpu/tables.h"

namespace pippin::cpu::PIPPIN_ISA {

const Kernels table = {Isa::PIPPIN_ISA,  linear_kernels,    bf16_kernels,
                       norm_kernels,     rope_kernels,      attention_kernels,
                       sampling_kernels, recurrent_kernels, simd_kernels};

}  // namespace pippin::cpu::PIPPIN_ISA
