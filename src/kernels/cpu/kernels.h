// The table of kernels: one entry a function, one table an instruction set. Every function works on
// one thread, on plain pointers; the drivers beside it (linear.h, attention.h ...) split the work over a
// Team and know nothing of instruction sets.
#pragma once

#include "kernels/cpu/attention_kernels.h"
#include "kernels/cpu/bf16_kernels.h"
#include "kernels/cpu/isa.h"
#include "kernels/cpu/linear_kernels.h"
#include "kernels/cpu/norm_kernels.h"
#include "kernels/cpu/recurrent_kernels.h"
#include "kernels/cpu/rope_kernels.h"
#include "kernels/cpu/sampling_kernels.h"
#include "kernels/cpu/simd_kernels.h"

namespace pippin::cpu {

struct Kernels {
  Isa isa;
  LinearKernels linear;
  Bf16Kernels bf16;
  NormKernels norm;
  RopeKernels rope;
  AttentionKernels attention;
  SamplingKernels sampling;
  RecurrentKernels recurrent;
  SimdKernels simd;
};

/// The table of one instruction set. Throws Error(invalid_argument) where this build or this machine
/// lacks it.
const Kernels& kernels_of(Isa isa);

/// The table of selected_isa(), looked up once.
const Kernels& kernels();

}  // namespace pippin::cpu
