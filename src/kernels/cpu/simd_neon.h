// 16 lanes as four NEON registers (64-bit Arm), with the dot products of bytes, and the products of
// byte matrices (I8MM) where the compiler was told so.
#pragma once

#include <arm_neon.h>

#include <cstdint>

#include "kernels/cpu/types.h"

namespace pippin::cpu::PIPPIN_ISA {

struct Vf {
  float32x4_t a, b, c, d;
};
struct Vi {
  int32x4_t a, b, c, d;
};
using Mask = std::uint32_t;

inline uint16x8_t load_halves(const void* p) {
  return vld1q_u16(static_cast<const std::uint16_t*>(p));
}
// The eight halves' lower and upper four as floats.
inline float32x4_t low_f16(uint16x8_t x) {
  return vcvt_f32_f16(vget_low_f16(vreinterpretq_f16_u16(x)));
}
inline float32x4_t high_f16(uint16x8_t x) { return vcvt_high_f32_f16(vreinterpretq_f16_u16(x)); }
inline float32x4_t low_bf16(uint16x8_t x) {
  return vreinterpretq_f32_u32(vshll_n_u16(vget_low_u16(x), 16));
}
inline float32x4_t high_bf16(uint16x8_t x) {
  return vreinterpretq_f32_u32(vshll_high_n_u16(x, 16));
}

inline Vf set1(float x) {
  const auto v = vdupq_n_f32(x);
  return {v, v, v, v};
}
inline Vf zero() { return set1(0); }
inline Vf load(const float* p) {
  return {vld1q_f32(p), vld1q_f32(p + 4), vld1q_f32(p + 8), vld1q_f32(p + 12)};
}
inline Vf load(const F16* p) {
  const auto x = load_halves(p), y = load_halves(p + 8);
  return {low_f16(x), high_f16(x), low_f16(y), high_f16(y)};
}
inline Vf load(const Bf16* p) {
  const auto x = load_halves(p), y = load_halves(p + 8);
  return {low_bf16(x), high_bf16(x), low_bf16(y), high_bf16(y)};
}
inline Vf widen_i8(int8x16_t x) {
  const auto low = vmovl_s8(vget_low_s8(x)), high = vmovl_high_s8(x);
  return {vcvtq_f32_s32(vmovl_s16(vget_low_s16(low))), vcvtq_f32_s32(vmovl_high_s16(low)),
          vcvtq_f32_s32(vmovl_s16(vget_low_s16(high))), vcvtq_f32_s32(vmovl_high_s16(high))};
}
inline Vf load(const Code8* p) {
  return widen_i8(vld1q_s8(reinterpret_cast<const std::int8_t*>(p)));
}
inline Vf load_nibbles(const Code4* p, bool high) {
  const auto pairs = vld1q_u8(reinterpret_cast<const std::uint8_t*>(p));
  return widen_i8(vqtbl1q_s8(vld1q_s8(kv_levels),
                             high ? vshrq_n_u8(pairs, 4) : vandq_u8(pairs, vdupq_n_u8(15))));
}
inline Vf load_first(const float* p, int n) {
  if (n >= 16) return load(p);
  float lanes[16] = {};
  for (int i = 0; i < n; ++i) lanes[i] = p[i];
  return load(lanes);
}
// The first numbers of four pairs.
inline float32x4_t first_bf16(uint16x8_t pairs) {
  return vreinterpretq_f32_u32(vshlq_n_u32(vreinterpretq_u32_u16(pairs), 16));
}
inline float32x4_t second_bf16(uint16x8_t pairs) {
  return vreinterpretq_f32_u32(vandq_u32(vreinterpretq_u32_u16(pairs), vdupq_n_u32(0xffff0000u)));
}
inline void load_pairs(const Bf16* p, Vf& first, Vf& second) {
  const auto x = load_halves(p), y = load_halves(p + 8), z = load_halves(p + 16),
             w = load_halves(p + 24);
  first = {first_bf16(x), first_bf16(y), first_bf16(z), first_bf16(w)};
  second = {second_bf16(x), second_bf16(y), second_bf16(z), second_bf16(w)};
}
inline void load_pairs(const F16* p, Vf& first, Vf& second) {
  const auto x = load_halves(p), y = load_halves(p + 8), z = load_halves(p + 16),
             w = load_halves(p + 24);
  const auto low = vuzp1q_u16(x, y), high = vuzp1q_u16(z, w);
  first = {low_f16(low), high_f16(low), low_f16(high), high_f16(high)};
  const auto low2 = vuzp2q_u16(x, y), high2 = vuzp2q_u16(z, w);
  second = {low_f16(low2), high_f16(low2), low_f16(high2), high_f16(high2)};
}
inline void store(float* p, Vf x) {
  vst1q_f32(p, x.a);
  vst1q_f32(p + 4, x.b);
  vst1q_f32(p + 8, x.c);
  vst1q_f32(p + 12, x.d);
}
inline void store_halves(void* p, uint16x8_t x) { vst1q_u16(static_cast<std::uint16_t*>(p), x); }
inline uint16x8_t narrow_f16(float32x4_t low, float32x4_t high) {
  return vreinterpretq_u16_f16(vcvt_high_f16_f32(vcvt_f16_f32(low), high));
}
inline void store(F16* p, Vf x) {
  store_halves(p, narrow_f16(x.a, x.b));
  store_halves(p + 8, narrow_f16(x.c, x.d));
}
// bfloat16 in the high halves of the lanes; NaN stays NaN.
inline uint16x8_t round_to_bf16(float32x4_t x) {
  const auto u = vreinterpretq_u32_f32(x);
  const auto odd = vandq_u32(vshrq_n_u32(u, 16), vdupq_n_u32(1));
  const auto rounded = vaddq_u32(u, vaddq_u32(odd, vdupq_n_u32(0x7fff)));
  const auto quiet = vorrq_u32(u, vdupq_n_u32(0x400000));
  return vreinterpretq_u16_u32(vbslq_u32(vceqq_f32(x, x), rounded, quiet));
}
inline void store(Bf16* p, Vf x) {
  store_halves(p, vuzp2q_u16(round_to_bf16(x.a), round_to_bf16(x.b)));
  store_halves(p + 8, vuzp2q_u16(round_to_bf16(x.c), round_to_bf16(x.d)));
}
inline void store_first(float* p, Vf x, int n) {
  if (n >= 16) return store(p, x);
  float lanes[16];
  store(lanes, x);
  for (int i = 0; i < n; ++i) p[i] = lanes[i];
}

inline Vf operator+(Vf x, Vf y) {
  return {vaddq_f32(x.a, y.a), vaddq_f32(x.b, y.b), vaddq_f32(x.c, y.c), vaddq_f32(x.d, y.d)};
}
inline Vf operator-(Vf x, Vf y) {
  return {vsubq_f32(x.a, y.a), vsubq_f32(x.b, y.b), vsubq_f32(x.c, y.c), vsubq_f32(x.d, y.d)};
}
inline Vf operator*(Vf x, Vf y) {
  return {vmulq_f32(x.a, y.a), vmulq_f32(x.b, y.b), vmulq_f32(x.c, y.c), vmulq_f32(x.d, y.d)};
}
inline Vf operator/(Vf x, Vf y) {
  return {vdivq_f32(x.a, y.a), vdivq_f32(x.b, y.b), vdivq_f32(x.c, y.c), vdivq_f32(x.d, y.d)};
}
inline Vf fma(Vf x, Vf y, Vf z) {
  return {vfmaq_f32(z.a, x.a, y.a), vfmaq_f32(z.b, x.b, y.b), vfmaq_f32(z.c, x.c, y.c),
          vfmaq_f32(z.d, x.d, y.d)};
}
// FMAX returns a NaN of either operand: here the second is to win, as on other processors.
inline float32x4_t max4(float32x4_t x, float32x4_t y) { return vbslq_f32(vcgtq_f32(x, y), x, y); }
inline float32x4_t min4(float32x4_t x, float32x4_t y) { return vbslq_f32(vcltq_f32(x, y), x, y); }
inline Vf max(Vf x, Vf y) {
  return {max4(x.a, y.a), max4(x.b, y.b), max4(x.c, y.c), max4(x.d, y.d)};
}
inline Vf min(Vf x, Vf y) {
  return {min4(x.a, y.a), min4(x.b, y.b), min4(x.c, y.c), min4(x.d, y.d)};
}
inline Vf abs(Vf x) { return {vabsq_f32(x.a), vabsq_f32(x.b), vabsq_f32(x.c), vabsq_f32(x.d)}; }
inline Mask less(Vf x, Vf y) {
  const auto ab = vuzp1q_u16(vreinterpretq_u16_u32(vcltq_f32(x.a, y.a)),
                             vreinterpretq_u16_u32(vcltq_f32(x.b, y.b)));
  const auto cd = vuzp1q_u16(vreinterpretq_u16_u32(vcltq_f32(x.c, y.c)),
                             vreinterpretq_u16_u32(vcltq_f32(x.d, y.d)));
  const uint16x8_t bits = {1, 2, 4, 8, 16, 32, 64, 128};
  return vaddvq_u16(vandq_u16(ab, bits)) | Mask{vaddvq_u16(vandq_u16(cd, bits))} << 8;
}
inline Vf select(Mask m, Vf x, Vf y) {
  const auto bits = vdupq_n_u32(m);
  const uint32x4_t first = {1, 2, 4, 8};
  return {vbslq_f32(vtstq_u32(bits, first), x.a, y.a),
          vbslq_f32(vtstq_u32(bits, vshlq_n_u32(first, 4)), x.b, y.b),
          vbslq_f32(vtstq_u32(bits, vshlq_n_u32(first, 8)), x.c, y.c),
          vbslq_f32(vtstq_u32(bits, vshlq_n_u32(first, 12)), x.d, y.d)};
}
inline float sum(Vf x) { return vaddvq_f32(vaddq_f32(vaddq_f32(x.a, x.b), vaddq_f32(x.c, x.d))); }
inline float max_of(Vf x) { return vmaxnmvq_f32(max4(max4(x.a, x.b), max4(x.c, x.d))); }

inline Vi to_int(Vf x) {
  return {vcvtnq_s32_f32(x.a), vcvtnq_s32_f32(x.b), vcvtnq_s32_f32(x.c), vcvtnq_s32_f32(x.d)};
}
inline Vf to_float(Vi x) {
  return {vcvtq_f32_s32(x.a), vcvtq_f32_s32(x.b), vcvtq_f32_s32(x.c), vcvtq_f32_s32(x.d)};
}
inline Vf round(Vf x) {
  return {vrndnq_f32(x.a), vrndnq_f32(x.b), vrndnq_f32(x.c), vrndnq_f32(x.d)};
}
inline float32x4_t power_of_2(float32x4_t n) {
  return vreinterpretq_f32_s32(vshlq_n_s32(vaddq_s32(vcvtq_s32_f32(n), vdupq_n_s32(127)), 23));
}
inline Vf scale_by_power(Vf x, Vf n) {
  return x * Vf{power_of_2(n.a), power_of_2(n.b), power_of_2(n.c), power_of_2(n.d)};
}
inline Vi zero_i() {
  const auto v = vdupq_n_s32(0);
  return {v, v, v, v};
}
inline Vi operator+(Vi x, Vi y) {
  return {vaddq_s32(x.a, y.a), vaddq_s32(x.b, y.b), vaddq_s32(x.c, y.c), vaddq_s32(x.d, y.d)};
}
inline std::int32_t sum(Vi x) {
  return vaddvq_s32(vaddq_s32(vaddq_s32(x.a, x.b), vaddq_s32(x.c, x.d)));
}
inline void store_i8(std::int8_t* p, Vi x) {
  const auto low = vqmovn_high_s32(vqmovn_s32(x.a), x.b);
  const auto high = vqmovn_high_s32(vqmovn_s32(x.c), x.d);
  vst1q_s8(p, vqmovn_high_s16(vqmovn_s16(low), high));
}
inline void prefetch(const void* p) { __builtin_prefetch(p); }
inline void prefetch_far(const void* p) { __builtin_prefetch(p, 0, 2); }

// ---- sums of products of bytes

inline constexpr int max_float_tile_rows = 6;
inline constexpr int max_query_rows = 6, max_float_sums = 6;

// What nibbles stand for. Fp4: fp4_doubles + 12.
template <bool Fp4>
inline uint8x16_t meaning(uint8x16_t nibbles) {
  if constexpr (!Fp4) return nibbles;
  const auto table = vaddq_s8(vld1q_s8(fp4_doubles), vdupq_n_s8(12));
  return vqtbl1q_u8(vreinterpretq_u8_s8(table), nibbles);
}
// The low and the high nibbles of 16 bytes.
template <bool Fp4>
inline uint8x16_t low_nibbles(uint8x16_t x) {
  return meaning<Fp4>(vandq_u8(x, vdupq_n_u8(15)));
}
template <bool Fp4>
inline uint8x16_t high_nibbles(uint8x16_t x) {
  return meaning<Fp4>(vshrq_n_u8(x, 4));
}

// acc += the sums of four products: the four k of each of four weight rows, by one activation row's
// k = 4 Lane ... of 16. Without I8MM bytes are signed: a weight of 8 bits is taken less 128 (see
// left_out), one of 4 bits is the same either way.
template <int Lane, int Bits>
inline __attribute__((always_inline)) int32x4_t dot4(int32x4_t acc, uint8x16_t w, int8x16_t x) {
#ifdef __ARM_FEATURE_MATMUL_INT8
  return vusdotq_laneq_s32(acc, w, x, Lane);
#else
  if constexpr (Bits == 8) w = veorq_u8(w, vdupq_n_u8(128));
  return vdotq_laneq_s32(acc, vreinterpretq_s8_u8(w), x, Lane);
#endif
}

// What dot4's sums over a group lack: 128 times the sum of the activations.
template <int Bits>
inline int32x4_t left_out([[maybe_unused]] const std::int8_t* x, [[maybe_unused]] int group) {
  auto total = vdupq_n_s32(0);
#ifndef __ARM_FEATURE_MATMUL_INT8
  if constexpr (Bits == 8) {
    for (int k = 0; k < group; k += 16) total = vdotq_s32(total, vld1q_s8(x + k), vdupq_n_s8(1));
    total = vdupq_n_s32(128 * vaddvq_s32(total));
  }
#endif
  return total;
}

// One line by MT rows' activations: x for the bytes, or for the low nibbles and `high` for the others.
template <int Lane, int MT, int Bits, bool Fp4>
inline __attribute__((always_inline)) void add_line(const std::uint8_t* line,
                                                    const int8x16_t (&x)[MT],
                                                    const int8x16_t (&high)[MT],
                                                    int32x4_t (&s)[MT][4]) {
#pragma GCC unroll 4
  for (int v = 0; v < 4; ++v) {
    const auto w = vld1q_u8(line + 16 * v);
#pragma GCC unroll 8
    for (int m = 0; m < MT; ++m)
      s[m][v] = dot4<Lane, Bits>(s[m][v], Bits == 4 ? low_nibbles<Fp4>(w) : w, x[m]);
    if constexpr (Bits == 4) {
#pragma GCC unroll 8
      for (int m = 0; m < MT; ++m)
        s[m][v] = dot4<Lane, Bits>(s[m][v], high_nibbles<Fp4>(w), high[m]);
    }
  }
}

// By dot products of one activation row at a time: 16 k of it fill a register.
template <int MT, int Bits, bool Fp4>
inline __attribute__((always_inline)) void dot_by_rows(const std::uint8_t* lines, int group,
                                                       const std::int8_t* a, Vi (&acc)[MT]) {
  int32x4_t s[MT][4];
#pragma GCC unroll 8
  for (int m = 0; m < MT; ++m)
    s[m][0] = s[m][1] = s[m][2] = s[m][3] = left_out<Bits>(a + m * group, group);
  const int half = group / 2, count = Bits == 4 ? half : group;
  for (int k = 0; k < count; k += 16, lines += 256) {
    int8x16_t x[MT], high[MT];
#pragma GCC unroll 8
    for (int m = 0; m < MT; ++m) {
      x[m] = vld1q_s8(a + m * group + k);
      if constexpr (Bits == 4) high[m] = vld1q_s8(a + m * group + half + k);
    }
    add_line<0, MT, Bits, Fp4>(lines, x, high, s);
    add_line<1, MT, Bits, Fp4>(lines + 64, x, high, s);
    add_line<2, MT, Bits, Fp4>(lines + 128, x, high, s);
    add_line<3, MT, Bits, Fp4>(lines + 192, x, high, s);
  }
#pragma GCC unroll 8
  for (int m = 0; m < MT; ++m) acc[m] = {s[m][0], s[m][1], s[m][2], s[m][3]};
}

#ifdef __ARM_FEATURE_MATMUL_INT8

inline constexpr int max_tile_rows = 8;

// acc += 2 weight rows of 8 k by 2 activation rows.
inline int32x4_t multiply(int32x4_t acc, uint8x16_t w, int8x16_t x) {
  return vusmmlaq_s32(acc, w, x);
}
inline int8x16_t rows_of_8(const std::int8_t* x, const std::int8_t* y) {
  return vcombine_s8(vld1_s8(x), vld1_s8(y));
}

// By products of 2x8 and 8x2 matrices, eight weight rows at a time so that all sums stay in
// registers. Of an odd number of activation rows the last is its own partner.
template <int MT, int Bits, bool Fp4>
inline __attribute__((always_inline)) void dot_by_pairs(const std::uint8_t* lines, int group,
                                                        const std::int8_t* a, Vi (&acc)[MT]) {
  constexpr int pairs = (MT + 1) / 2;
  const int half = group / 2, count = Bits == 4 ? half : group;
#pragma GCC unroll 2
  for (int side = 0; side < 2; ++side) {
    int32x4_t s[pairs][4];
#pragma GCC unroll 4
    for (int p = 0; p < pairs; ++p) s[p][0] = s[p][1] = s[p][2] = s[p][3] = vdupq_n_s32(0);
    for (int k = 0; k < count; k += 8) {
      int8x16_t x[pairs], high[pairs];
#pragma GCC unroll 4
      for (int p = 0; p < pairs; ++p) {
        const std::int8_t* first = a + 2 * p * group + k;
        const std::int8_t* second = 2 * p + 1 < MT ? first + group : first;
        x[p] = rows_of_8(first, second);
        if constexpr (Bits == 4) high[p] = rows_of_8(first + half, second + half);
      }
#pragma GCC unroll 2
      for (int v = 0; v < 2; ++v) {
        const std::uint8_t* line = lines + 16 * k + 32 * side + 16 * v;
        const auto w0 = vreinterpretq_u32_u8(vld1q_u8(line)),
                   w1 = vreinterpretq_u32_u8(vld1q_u8(line + 64));
        const uint8x16_t w[2] = {vreinterpretq_u8_u32(vzip1q_u32(w0, w1)),
                                 vreinterpretq_u8_u32(vzip2q_u32(w0, w1))};
#pragma GCC unroll 2
        for (int i = 0; i < 2; ++i)
#pragma GCC unroll 4
          for (int p = 0; p < pairs; ++p) {
            auto& sums = s[p][2 * v + i];
            sums = multiply(sums, Bits == 4 ? low_nibbles<Fp4>(w[i]) : w[i], x[p]);
            if constexpr (Bits == 4) sums = multiply(sums, high_nibbles<Fp4>(w[i]), high[p]);
          }
      }
    }
#pragma GCC unroll 8
    for (int m = 0; m < MT; ++m) {
      const auto& t = s[m / 2];
      const auto low = m % 2 ? vuzp2q_s32(t[0], t[1]) : vuzp1q_s32(t[0], t[1]);
      const auto up = m % 2 ? vuzp2q_s32(t[2], t[3]) : vuzp1q_s32(t[2], t[3]);
      (side ? acc[m].c : acc[m].a) = low;
      (side ? acc[m].d : acc[m].b) = up;
    }
  }
}

/// See simd_scalar.h.
template <int MT, int Bits, bool Fp4 = false>
inline __attribute__((always_inline)) void dot_group(const std::uint8_t* lines, int group,
                                                     const std::int8_t* a, Vi (&acc)[MT]) {
  if constexpr (MT == 1)
    dot_by_rows<MT, Bits, Fp4>(lines, group, a, acc);
  else
    dot_by_pairs<MT, Bits, Fp4>(lines, group, a, acc);
}

#else

inline constexpr int max_tile_rows = 4;

/// See simd_scalar.h.
template <int MT, int Bits, bool Fp4 = false>
inline __attribute__((always_inline)) void dot_group(const std::uint8_t* lines, int group,
                                                     const std::int8_t* a, Vi (&acc)[MT]) {
  dot_by_rows<MT, Bits, Fp4>(lines, group, a, acc);
}

#endif

}  // namespace pippin::cpu::PIPPIN_ISA
