// 16 lanes as one AVX-512 register (F, BW, DQ, VL); VNNI and BF16 where the compiler was told so.
#pragma once

#include <immintrin.h>

#include <cstdint>
#include <cstring>

#include "kernels/cpu/types.h"

namespace pippin::cpu::PIPPIN_ISA {

struct Vf {
  __m512 v;
};
struct Vi {
  __m512i v;
};
using Mask = std::uint32_t;

inline __mmask16 first(int n) { return static_cast<__mmask16>((1u << n) - 1u); }

inline Vf zero() { return {_mm512_setzero_ps()}; }
inline Vf set1(float x) { return {_mm512_set1_ps(x)}; }
inline Vf load(const float* p) { return {_mm512_loadu_ps(p)}; }
inline Vf load(const F16* p) {
  return {_mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)))};
}
inline Vf load(const Bf16* p) {
  const auto h = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p));
  return {_mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(h), 16))};
}
inline __m128i load128(const void* p) { return _mm_loadu_si128(static_cast<const __m128i*>(p)); }
inline Vf load(const Code8* p) { return {_mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(load128(p)))}; }
inline Vf load_nibbles(const Code4* p, bool high) {
  const auto levels = _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(load128(kv_levels)));
  const auto pairs = _mm512_cvtepu8_epi32(load128(p));
  // The permutation looks at an index's low four bits alone.
  return {_mm512_permutexvar_ps(high ? _mm512_srli_epi32(pairs, 4) : pairs, levels)};
}
inline Vf load_first(const float* p, int n) { return {_mm512_maskz_loadu_ps(first(n), p)}; }
inline void load_pairs(const Bf16* p, Vf& first, Vf& second) {
  const auto pairs = _mm512_loadu_si512(p);
  first.v = _mm512_castsi512_ps(_mm512_slli_epi32(pairs, 16));
  second.v = _mm512_castsi512_ps(_mm512_and_si512(pairs, _mm512_set1_epi32(-0x10000)));
}
inline void load_pairs(const F16* p, Vf& first, Vf& second) {
  const auto pairs = _mm512_loadu_si512(p);
  first.v = _mm512_cvtph_ps(_mm512_cvtepi32_epi16(pairs));
  second.v = _mm512_cvtph_ps(_mm512_cvtepi32_epi16(_mm512_srli_epi32(pairs, 16)));
}
inline void store(float* p, Vf x) { _mm512_storeu_ps(p, x.v); }
inline void store(F16* p, Vf x) {
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(p),
                      _mm512_cvtps_ph(x.v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC));
}
inline void store(Bf16* p, Vf x) {
  const auto u = _mm512_castps_si512(x.v);
  const auto odd = _mm512_and_si512(_mm512_srli_epi32(u, 16), _mm512_set1_epi32(1));
  auto rounded =
      _mm512_srli_epi32(_mm512_add_epi32(u, _mm512_add_epi32(odd, _mm512_set1_epi32(0x7fff))), 16);
  const auto nan = _mm512_cmp_ps_mask(x.v, x.v, _CMP_UNORD_Q);
  rounded = _mm512_mask_or_epi32(rounded, nan, _mm512_srli_epi32(u, 16), _mm512_set1_epi32(0x40));
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), _mm512_cvtepi32_epi16(rounded));
}
inline void store_first(float* p, Vf x, int n) { _mm512_mask_storeu_ps(p, first(n), x.v); }

inline Vf operator+(Vf a, Vf b) { return {_mm512_add_ps(a.v, b.v)}; }
inline Vf operator-(Vf a, Vf b) { return {_mm512_sub_ps(a.v, b.v)}; }
inline Vf operator*(Vf a, Vf b) { return {_mm512_mul_ps(a.v, b.v)}; }
inline Vf operator/(Vf a, Vf b) { return {_mm512_div_ps(a.v, b.v)}; }
inline Vf fma(Vf a, Vf b, Vf c) { return {_mm512_fmadd_ps(a.v, b.v, c.v)}; }
inline Vf max(Vf a, Vf b) { return {_mm512_max_ps(a.v, b.v)}; }
inline Vf min(Vf a, Vf b) { return {_mm512_min_ps(a.v, b.v)}; }
inline Vf abs(Vf a) { return {_mm512_abs_ps(a.v)}; }
inline Mask less(Vf a, Vf b) { return _mm512_cmp_ps_mask(a.v, b.v, _CMP_LT_OQ); }
inline Vf select(Mask m, Vf a, Vf b) {
  return {_mm512_mask_blend_ps(static_cast<__mmask16>(m), b.v, a.v)};
}
inline float sum(Vf x) { return _mm512_reduce_add_ps(x.v); }
inline float max_of(Vf x) { return _mm512_reduce_max_ps(x.v); }

inline Vi to_int(Vf x) { return {_mm512_cvtps_epi32(x.v)}; }
inline Vf to_float(Vi x) { return {_mm512_cvtepi32_ps(x.v)}; }
inline Vf round(Vf x) {
  return {_mm512_roundscale_ps(x.v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC)};
}
inline Vf scale_by_power(Vf x, Vf n) { return {_mm512_scalef_ps(x.v, n.v)}; }
inline Vi zero_i() { return {_mm512_setzero_si512()}; }
inline Vi operator+(Vi a, Vi b) { return {_mm512_add_epi32(a.v, b.v)}; }
inline std::int32_t sum(Vi x) { return _mm512_reduce_add_epi32(x.v); }
inline void store_i8(std::int8_t* p, Vi x) {
  _mm_storeu_si128(reinterpret_cast<__m128i*>(p), _mm512_cvtsepi32_epi8(x.v));
}
inline void prefetch(const void* p) { _mm_prefetch(static_cast<const char*>(p), _MM_HINT_T0); }
inline void prefetch_far(const void* p) { _mm_prefetch(static_cast<const char*>(p), _MM_HINT_T1); }

inline __m512i load_line(const std::uint8_t* p) { return _mm512_loadu_si512(p); }
inline __m512i broadcast4(const std::int8_t* p) {
  std::int32_t x;
  std::memcpy(&x, p, 4);
  return _mm512_set1_epi32(x);
}

/// acc += the sums of four products of an unsigned (w) and a signed (a) byte.
inline __m512i dot4(__m512i acc, __m512i w, __m512i a, bool narrow) {
#ifdef __AVX512VNNI__
  (void)narrow;
  return _mm512_dpbusd_epi32(acc, w, a);
#else
  const auto ones = _mm512_set1_epi16(1);
  if (narrow)  // two products of 4 and 8 bits fit 16 bits
    return _mm512_add_epi32(acc, _mm512_madd_epi16(_mm512_maddubs_epi16(w, a), ones));
  const auto low = _mm512_and_si512(w, _mm512_set1_epi8(15));
  const auto high = _mm512_and_si512(_mm512_srli_epi16(w, 4), _mm512_set1_epi8(15));
  const auto sums =
      _mm512_add_epi32(_mm512_madd_epi16(_mm512_maddubs_epi16(low, a), ones),
                       _mm512_madd_epi16(_mm512_maddubs_epi16(high, a), _mm512_set1_epi16(16)));
  return _mm512_add_epi32(acc, sums);
#endif
}

#ifdef __AVX512BF16__
/// There are products of bf16 numbers: see bf16_impl.h.
#define PIPPIN_BF16_DOT

/// Pairs of bf16 numbers in 16 lanes.
struct Pairs {
  __m512bh v;
};
inline Pairs load_bf16_pairs(const Bf16* p) {
  const auto bits = _mm512_loadu_si512(p);
  return {reinterpret_cast<const __m512bh&>(bits)};
}
inline Pairs broadcast_pair(const Bf16* p) {
  std::int32_t x;
  std::memcpy(&x, p, 4);
  const auto bits = _mm512_set1_epi32(x);
  return {reinterpret_cast<const __m512bh&>(bits)};
}
/// acc += the sums of two products, the second first; subnormal numbers count as zero.
inline Vf dot2(Vf acc, Pairs x, Pairs y) { return {_mm512_dpbf16_ps(acc.v, x.v, y.v)}; }
#endif

// Six rows by two panels: 12 sums of products and 12 of floats fill 24 of the 32 registers. A load of
// four activations then serves two panels, which matters on processors with one load of 512 bits a cycle.
inline constexpr int max_tile_rows = 6;
// No more than a first-level cache has ways: rows of x often lie 4096 bytes apart, all in one set (12
// rows were a fifth slower than 8).
inline constexpr int max_float_tile_rows = 8;
// Queries do not lie in one set, and two vectors of keys for each make the most of a load.
inline constexpr int max_query_rows = 12, max_float_sums = 24;
/// From so many rows on, tiles take two panels at once.
#define PIPPIN_TWO_PANEL_ROWS 4

// The low or high nibbles of a line; Fp4: what they stand for, fp4_doubles + 12.
template <bool Fp4>
inline __m512i nibbles(__m512i line, bool high) {
  const auto n = _mm512_and_si512(high ? _mm512_srli_epi16(line, 4) : line, _mm512_set1_epi8(15));
  if (!Fp4) return n;
  const auto doubles = _mm_loadu_si128(reinterpret_cast<const __m128i*>(fp4_doubles));
  const auto table = _mm512_broadcast_i32x4(_mm_add_epi8(doubles, _mm_set1_epi8(12)));
  return _mm512_shuffle_epi8(table, n);
}

/// See simd_scalar.h. A few rows get two chains of additions, which hide the instruction's latency.
template <int MT, int Bits, bool Fp4 = false>
inline __attribute__((always_inline)) void dot_group(const std::uint8_t* lines, int group,
                                                     const std::int8_t* a, Vi (&acc)[MT]) {
  // Where the second half of a step's products lie in k.
  const int far = Bits == 4 ? group / 2 : 4, end = Bits == 4 ? group / 2 : group;
  constexpr int step = Bits == 4 ? 4 : 8;
  __m512i even[MT], odd[MT];
#pragma GCC unroll 16
  for (int m = 0; m < MT; ++m) even[m] = odd[m] = _mm512_setzero_si512();
#pragma GCC unroll 4
  for (int k = 0; k < end; k += step) {
    const auto w = load_line(lines + 16 * k);
    const auto w0 = Bits == 4 ? nibbles<Fp4>(w, false) : w;
    const auto w1 = Bits == 4 ? nibbles<Fp4>(w, true) : load_line(lines + 16 * k + 64);
#pragma GCC unroll 16
    for (int m = 0; m < MT; ++m) {
      even[m] = dot4(even[m], w0, broadcast4(a + m * group + k), Bits == 4);
      auto& other = MT <= 4 ? odd[m] : even[m];
      other = dot4(other, w1, broadcast4(a + m * group + far + k), Bits == 4);
    }
  }
#pragma GCC unroll 16
  for (int m = 0; m < MT; ++m) acc[m].v = MT <= 4 ? _mm512_add_epi32(even[m], odd[m]) : even[m];
}

/// The same for two panels.
template <int MT, int Bits, bool Fp4 = false>
inline __attribute__((always_inline)) void dot_group(const std::uint8_t* lines,
                                                     const std::uint8_t* lines2, int group,
                                                     const std::int8_t* a, Vi (&acc)[MT],
                                                     Vi (&acc2)[MT]) {
  const int far = Bits == 4 ? group / 2 : 4, end = Bits == 4 ? group / 2 : group;
  constexpr int step = Bits == 4 ? 4 : 8;
#pragma GCC unroll 16
  for (int m = 0; m < MT; ++m) acc[m].v = acc2[m].v = _mm512_setzero_si512();
#pragma GCC unroll 2
  for (int k = 0; k < end; k += step) {
    auto w = load_line(lines + 16 * k), v = load_line(lines2 + 16 * k);
    const auto w0 = Bits == 4 ? nibbles<Fp4>(w, false) : w;
    const auto v0 = Bits == 4 ? nibbles<Fp4>(v, false) : v;
#pragma GCC unroll 16
    for (int m = 0; m < MT; ++m) {
      const auto x = broadcast4(a + m * group + k);
      acc[m].v = dot4(acc[m].v, w0, x, Bits == 4);
      acc2[m].v = dot4(acc2[m].v, v0, x, Bits == 4);
    }
    w = Bits == 4 ? nibbles<Fp4>(w, true) : load_line(lines + 16 * k + 64);
    v = Bits == 4 ? nibbles<Fp4>(v, true) : load_line(lines2 + 16 * k + 64);
#pragma GCC unroll 16
    for (int m = 0; m < MT; ++m) {
      const auto x = broadcast4(a + m * group + far + k);
      acc[m].v = dot4(acc[m].v, w, x, Bits == 4);
      acc2[m].v = dot4(acc2[m].v, v, x, Bits == 4);
    }
  }
}

}  // namespace pippin::cpu::PIPPIN_ISA
