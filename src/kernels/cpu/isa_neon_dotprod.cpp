#define PIPPIN_ISA neon_dotprod
#include "kernels/cpu/simd_neon.h"
//
#include "kernels/cpu/kernels_impl.h"
