#define PIPPIN_ISA avx512_bf16
#include "kernels/cpu/simd_avx512.h"
//
#include "kernels/cpu/kernels_impl.h"
