#define PIPPIN_ISA scalar
#include "kernels/cpu/simd_scalar.h"
//
#include "kernels/cpu/kernels_impl.h"
