// The 16-lane functions as a table, for their test.
#pragma once

#include <cstdint>

#include "kernels/cpu/math_impl.h"
#include "kernels/cpu/simd_kernels.h"

namespace pippin::cpu::PIPPIN_ISA {

template <Vf (*F)(Vf)>
inline void apply(const float* x, float* out) {
  store(out, F(load(x)));
}
template <Vf (*F)(Vf, Vf)>
inline void apply(const float* x, const float* y, float* out) {
  store(out, F(load(x), load(y)));
}

// Integers come and go through floats, exactly: they are below 2^24 here.
inline Vi load_integers(const std::int32_t* x) {
  float lanes[16];
  for (int i = 0; i < 16; ++i) lanes[i] = static_cast<float>(x[i]);
  return to_int(load(lanes));
}
inline void store_integers(std::int32_t* out, Vi x) {
  float lanes[16];
  store(lanes, to_float(x));
  for (int i = 0; i < 16; ++i) out[i] = static_cast<std::int32_t>(lanes[i]);
}

template <class T>
inline void load_as(const T* x, float* out) {
  store(out, load(x));
}
template <class Half>
inline void store_half(const float* x, Half* out) {
  store(out, load(x));
}
template <class Half>
inline void load_half_pairs(const Half* x, float* first, float* second) {
  Vf a, b;
  load_pairs(x, a, b);
  store(first, a);
  store(second, b);
}

inline constexpr SimdKernels simd_kernels = {
    .abs = apply<abs>,
    .round = apply<round>,
    .exp = apply<exp>,
    .sigmoid = apply<sigmoid>,
    .silu = apply<silu>,
    .gelu = apply<gelu>,
    .gelu_tanh = apply<gelu_tanh>,
    .erf = apply<erf>,
    .add = apply<operator+ >,
    .subtract = apply<operator- >,
    .multiply = apply<operator*>,
    .divide = apply<operator/ >,
    .max = apply<max>,
    .min = apply<min>,
    .scale_by_power = apply<scale_by_power>,
    .fma = [](const float* x, const float* y, const float* z,
              float* out) { store(out, fma(load(x), load(y), load(z))); },
    .select_less =
        [](const float* x, const float* y, const float* z, float* out) {
          const Mask mask = less(load(x), load(y));
          store(out, select(mask, load(x), load(z)));
          return std::uint32_t{mask};
        },
    .sum = [](const float* x) { return sum(load(x)); },
    .max_of = [](const float* x) { return max_of(load(x)); },
    .set1 = [](float x, float* out) { store(out, set1(x)); },
    .to_int = [](const float* x, std::int32_t* out) { store_integers(out, to_int(load(x))); },
    .to_float = [](const std::int32_t* x, float* out) { store(out, to_float(load_integers(x))); },
    .add_int = [](const std::int32_t* x, const std::int32_t* y,
                  std::int32_t* out) { store_integers(out, load_integers(x) + load_integers(y)); },
    .sum_int = [](const std::int32_t* x) { return sum(zero_i() + load_integers(x)); },
    .store_i8 = [](const float* x, std::int8_t* out) { store_i8(out, to_int(load(x))); },
    .load_first = [](const float* x, int n, float* out) { store(out, load_first(x, n)); },
    .store_first = [](const float* x, int n, float* out) { store_first(out, load(x), n); },
    .load_f16 = load_as<F16>,
    .load_bf16 = load_as<Bf16>,
    .load_code8 = load_as<Code8>,
    .load_low_nibbles = [](const Code4* x, float* out) { store(out, load_nibbles(x, false)); },
    .load_high_nibbles = [](const Code4* x, float* out) { store(out, load_nibbles(x, true)); },
    .store_f16 = store_half<F16>,
    .store_bf16 = store_half<Bf16>,
    .load_pairs_f16 = load_half_pairs<F16>,
    .load_pairs_bf16 = load_half_pairs<Bf16>,
};

}  // namespace pippin::cpu::PIPPIN_ISA
