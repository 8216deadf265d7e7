#define PIPPIN_ISA avx2
#include "kernels/cpu/simd_avx2.h"
//
#include "kernels/cpu/kernels_impl.h"
