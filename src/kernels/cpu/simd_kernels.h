// The 16-lane functions themselves, as a table: nothing but their test calls it, which holds each
// instruction set's to the scalar ones.
#pragma once

#include <cstdint>

#include "kernels/cpu/types.h"

namespace pippin::cpu {

/// All pointers are to 16 numbers, unless said otherwise. Names are those of simd_*.h and math_impl.h.
struct SimdKernels {
  using Unary = void (*)(const float* x, float* out);
  using Binary = void (*)(const float* x, const float* y, float* out);

  Unary abs, round, exp, sigmoid, silu, gelu, gelu_tanh, erf;
  Binary add, subtract, multiply, divide, max, min, scale_by_power;
  void (*fma)(const float* x, const float* y, const float* z, float* out);
  /// x where less(x, y), else z; and the mask.
  std::uint32_t (*select_less)(const float* x, const float* y, const float* z, float* out);
  float (*sum)(const float* x);
  float (*max_of)(const float* x);
  void (*set1)(float x, float* out);

  void (*to_int)(const float* x, std::int32_t* out);
  void (*to_float)(const std::int32_t* x, float* out);
  void (*add_int)(const std::int32_t* x, const std::int32_t* y, std::int32_t* out);
  std::int32_t (*sum_int)(const std::int32_t* x);
  void (*store_i8)(const float* x, std::int8_t* out);  ///< of to_int(x)

  void (*load_first)(const float* x, int n, float* out);   ///< reads n numbers, writes 16
  void (*store_first)(const float* x, int n, float* out);  ///< reads 16 numbers, writes n
  void (*load_f16)(const F16* x, float* out);
  void (*load_bf16)(const Bf16* x, float* out);
  void (*load_code8)(const Code8* x, float* out);
  void (*load_low_nibbles)(const Code4* x, float* out);
  void (*load_high_nibbles)(const Code4* x, float* out);
  void (*store_f16)(const float* x, F16* out);
  void (*store_bf16)(const float* x, Bf16* out);
  void (*load_pairs_f16)(const F16* x, float* first, float* second);  ///< of 32
  void (*load_pairs_bf16)(const Bf16* x, float* first, float* second);
};

}  // namespace pippin::cpu
