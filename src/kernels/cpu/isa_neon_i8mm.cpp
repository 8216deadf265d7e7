#define PIPPIN_ISA neon_i8mm
#include "kernels/cpu/simd_neon.h"
//
#include "kernels/cpu/kernels_impl.h"
