// 16 lanes as two AVX2 registers (with FMA and F16C).
#pragma once

#include <immintrin.h>

#include <cstdint>
#include <cstring>

#include "kernels/cpu/types.h"

namespace pippin::cpu::PIPPIN_ISA {

struct Vf {
  __m256 a, b;
};
struct Vi {
  __m256i a, b;
};
using Mask = std::uint32_t;

// All ones in the lanes i < n of eight.
inline __m256i first(int n) {
  return _mm256_cmpgt_epi32(_mm256_set1_epi32(n), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}
inline __m256 widen(__m128i bf16) {
  return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(bf16), 16));
}
inline __m128i load128(const void* p) {
  return _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
}
inline __m256i load256(const void* p) {
  return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p));
}
inline void store128(void* p, __m128i x) { _mm_storeu_si128(reinterpret_cast<__m128i*>(p), x); }
inline void store256(void* p, __m256i x) { _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), x); }

inline Vf zero() { return {_mm256_setzero_ps(), _mm256_setzero_ps()}; }
inline Vf set1(float x) { return {_mm256_set1_ps(x), _mm256_set1_ps(x)}; }
inline Vf load(const float* p) { return {_mm256_loadu_ps(p), _mm256_loadu_ps(p + 8)}; }
inline Vf load(const F16* p) {
  return {_mm256_cvtph_ps(load128(p)), _mm256_cvtph_ps(load128(p + 8))};
}
inline Vf load(const Bf16* p) { return {widen(load128(p)), widen(load128(p + 8))}; }
// 16 signed bytes.
inline Vf widen_i8(__m128i x) {
  return {_mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(x)),
          _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_srli_si128(x, 8)))};
}
inline Vf load(const Code8* p) { return widen_i8(load128(p)); }
inline Vf load_nibbles(const Code4* p, bool high) {
  const auto pairs = load128(p);
  const auto nibbles = _mm_and_si128(high ? _mm_srli_epi16(pairs, 4) : pairs, _mm_set1_epi8(15));
  return widen_i8(_mm_shuffle_epi8(load128(kv_levels), nibbles));
}
inline Vf load_first(const float* p, int n) {
  return {_mm256_maskload_ps(p, first(n)), _mm256_maskload_ps(p + 8, first(n - 8))};
}
inline void load_pairs(const Bf16* p, Vf& first, Vf& second) {
  const auto x = load256(p), y = load256(p + 16), high = _mm256_set1_epi32(-0x10000);
  first = {_mm256_castsi256_ps(_mm256_slli_epi32(x, 16)),
           _mm256_castsi256_ps(_mm256_slli_epi32(y, 16))};
  second = {_mm256_castsi256_ps(_mm256_and_si256(x, high)),
            _mm256_castsi256_ps(_mm256_and_si256(y, high))};
}
// 16 32-bit lanes, each below 2^16, as 16-bit numbers in order.
inline __m256i pack_words(__m256i x, __m256i y) {
  return _mm256_permute4x64_epi64(_mm256_packus_epi32(x, y), 0xd8);
}
inline Vf widen_f16(__m256i halves) {
  return {_mm256_cvtph_ps(_mm256_castsi256_si128(halves)),
          _mm256_cvtph_ps(_mm256_extracti128_si256(halves, 1))};
}
inline void load_pairs(const F16* p, Vf& first, Vf& second) {
  const auto x = load256(p), y = load256(p + 16), low = _mm256_set1_epi32(0xffff);
  first = widen_f16(pack_words(_mm256_and_si256(x, low), _mm256_and_si256(y, low)));
  second = widen_f16(pack_words(_mm256_srli_epi32(x, 16), _mm256_srli_epi32(y, 16)));
}
inline void store(float* p, Vf x) {
  _mm256_storeu_ps(p, x.a);
  _mm256_storeu_ps(p + 8, x.b);
}
inline void store(F16* p, Vf x) {
  constexpr int nearest = _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC;
  store128(p, _mm256_cvtps_ph(x.a, nearest));
  store128(p + 8, _mm256_cvtps_ph(x.b, nearest));
}
// Eight floats -> eight bfloat16 in the low halves of 32-bit lanes; NaN stays NaN.
inline __m256i round_to_bf16(__m256 x) {
  const auto u = _mm256_castps_si256(x);
  const auto odd = _mm256_and_si256(_mm256_srli_epi32(u, 16), _mm256_set1_epi32(1));
  const auto rounded =
      _mm256_srli_epi32(_mm256_add_epi32(u, _mm256_add_epi32(odd, _mm256_set1_epi32(0x7fff))), 16);
  const auto quiet = _mm256_or_si256(_mm256_srli_epi32(u, 16), _mm256_set1_epi32(0x40));
  return _mm256_blendv_epi8(rounded, quiet, _mm256_castps_si256(_mm256_cmp_ps(x, x, _CMP_UNORD_Q)));
}
inline void store(Bf16* p, Vf x) {
  const auto packed = _mm256_packus_epi32(round_to_bf16(x.a), round_to_bf16(x.b));
  store256(p, _mm256_permute4x64_epi64(packed, 0xd8));
}
inline void store_first(float* p, Vf x, int n) {
  _mm256_maskstore_ps(p, first(n), x.a);
  _mm256_maskstore_ps(p + 8, first(n - 8), x.b);
}

inline Vf operator+(Vf x, Vf y) { return {_mm256_add_ps(x.a, y.a), _mm256_add_ps(x.b, y.b)}; }
inline Vf operator-(Vf x, Vf y) { return {_mm256_sub_ps(x.a, y.a), _mm256_sub_ps(x.b, y.b)}; }
inline Vf operator*(Vf x, Vf y) { return {_mm256_mul_ps(x.a, y.a), _mm256_mul_ps(x.b, y.b)}; }
inline Vf operator/(Vf x, Vf y) { return {_mm256_div_ps(x.a, y.a), _mm256_div_ps(x.b, y.b)}; }
inline Vf fma(Vf x, Vf y, Vf z) {
  return {_mm256_fmadd_ps(x.a, y.a, z.a), _mm256_fmadd_ps(x.b, y.b, z.b)};
}
inline Vf max(Vf x, Vf y) { return {_mm256_max_ps(x.a, y.a), _mm256_max_ps(x.b, y.b)}; }
inline Vf min(Vf x, Vf y) { return {_mm256_min_ps(x.a, y.a), _mm256_min_ps(x.b, y.b)}; }
inline Vf abs(Vf x) {
  const auto sign = _mm256_set1_ps(-0.0f);
  return {_mm256_andnot_ps(sign, x.a), _mm256_andnot_ps(sign, x.b)};
}
inline Mask less(Vf x, Vf y) {
  const auto low = _mm256_movemask_ps(_mm256_cmp_ps(x.a, y.a, _CMP_LT_OQ));
  const auto high = _mm256_movemask_ps(_mm256_cmp_ps(x.b, y.b, _CMP_LT_OQ));
  return static_cast<Mask>(low) | static_cast<Mask>(high) << 8;
}
// The bits of eight lanes as all ones or all zeros.
inline __m256 spread(Mask m) {
  const auto bit = _mm256_setr_epi32(1, 2, 4, 8, 16, 32, 64, 128);
  const auto set = _mm256_and_si256(_mm256_set1_epi32(static_cast<int>(m & 0xff)), bit);
  return _mm256_castsi256_ps(_mm256_cmpeq_epi32(set, bit));
}
inline Vf select(Mask m, Vf x, Vf y) {
  return {_mm256_blendv_ps(y.a, x.a, spread(m)), _mm256_blendv_ps(y.b, x.b, spread(m >> 8))};
}
inline float sum(Vf x) {
  const auto eight = _mm256_add_ps(x.a, x.b);
  auto four = _mm_add_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
  four = _mm_add_ps(four, _mm_movehl_ps(four, four));
  return _mm_cvtss_f32(_mm_add_ss(four, _mm_movehdup_ps(four)));
}
inline float max_of(Vf x) {
  const auto eight = _mm256_max_ps(x.a, x.b);
  auto four = _mm_max_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
  four = _mm_max_ps(four, _mm_movehl_ps(four, four));
  return _mm_cvtss_f32(_mm_max_ss(four, _mm_movehdup_ps(four)));
}

inline Vi to_int(Vf x) { return {_mm256_cvtps_epi32(x.a), _mm256_cvtps_epi32(x.b)}; }
inline Vf to_float(Vi x) { return {_mm256_cvtepi32_ps(x.a), _mm256_cvtepi32_ps(x.b)}; }
inline Vf round(Vf x) {
  constexpr int nearest = _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC;
  return {_mm256_round_ps(x.a, nearest), _mm256_round_ps(x.b, nearest)};
}
inline __m256 scale_by_power(__m256 x, __m256 n) {
  const auto exponent = _mm256_add_epi32(_mm256_cvtps_epi32(n), _mm256_set1_epi32(127));
  return _mm256_mul_ps(x, _mm256_castsi256_ps(_mm256_slli_epi32(exponent, 23)));
}
inline Vf scale_by_power(Vf x, Vf n) {
  return {scale_by_power(x.a, n.a), scale_by_power(x.b, n.b)};
}
inline Vi zero_i() { return {_mm256_setzero_si256(), _mm256_setzero_si256()}; }
inline Vi operator+(Vi x, Vi y) { return {_mm256_add_epi32(x.a, y.a), _mm256_add_epi32(x.b, y.b)}; }
inline std::int32_t sum(Vi x) {
  const auto eight = _mm256_add_epi32(x.a, x.b);
  auto four = _mm_add_epi32(_mm256_castsi256_si128(eight), _mm256_extracti128_si256(eight, 1));
  four = _mm_add_epi32(four, _mm_shuffle_epi32(four, 0x4e));
  return _mm_cvtsi128_si32(_mm_add_epi32(four, _mm_shuffle_epi32(four, 0xb1)));
}
inline void store_i8(std::int8_t* p, Vi x) {
  const auto words = _mm256_permute4x64_epi64(_mm256_packs_epi32(x.a, x.b), 0xd8);
  store128(p, _mm_packs_epi16(_mm256_castsi256_si128(words), _mm256_extracti128_si256(words, 1)));
}
inline void prefetch(const void* p) { _mm_prefetch(static_cast<const char*>(p), _MM_HINT_T0); }
inline void prefetch_far(const void* p) { _mm_prefetch(static_cast<const char*>(p), _MM_HINT_T1); }

inline __m256i broadcast4(const std::int8_t* p) {
  std::int32_t x;
  std::memcpy(&x, p, 4);
  return _mm256_set1_epi32(x);
}

inline constexpr int max_tile_rows = 4;
inline constexpr int max_float_tile_rows = 6;
inline constexpr int max_query_rows = 6, max_float_sums = 6;

/// From so many rows on, a panel's nibbles are unpacked once for all tiles, which are then a third faster.
#define PIPPIN_UNPACK_ROWS 32

// A line's weights in one plane of nibbles; the two planes are k's two halves (4 bits) or a byte's two
// halves (8 bits: products of two full bytes overflow the 16 bits that maddubs adds in).
struct Nibbles {
  __m256i a, b;
};
inline Nibbles load_line(const std::uint8_t* line) { return {load256(line), load256(line + 32)}; }
// Fp4: what the nibbles stand for, fp4_doubles + 12, in [0, 24].
template <int Plane, bool Fp4>
inline Nibbles load_plane(const std::uint8_t* line) {
  auto n = load_line(line);
  if (Plane == 1) n = {_mm256_srli_epi16(n.a, 4), _mm256_srli_epi16(n.b, 4)};
  const auto mask = _mm256_set1_epi8(15);
  n = {_mm256_and_si256(n.a, mask), _mm256_and_si256(n.b, mask)};
  if (!Fp4) return n;
  const auto table =
      _mm256_add_epi8(_mm256_broadcastsi128_si256(load128(fp4_doubles)), _mm256_set1_epi8(12));
  return {_mm256_shuffle_epi8(table, n.a), _mm256_shuffle_epi8(table, n.b)};
}

// acc += factor * the products of up to eight lines, line(v) being their nibbles. Eight sums of nibbles
// (0..15) times bytes fit 16 bits: 8 * 2 * 15 * 127 = 30480. Of fp4's numbers (0..24) four do: 24384.
template <int Lines, int MT, class Line>
inline __attribute__((always_inline)) void add_lines(const Line& line, const std::int8_t* x,
                                                     int group, short factor, Vi (&acc)[MT]) {
  static_assert(Lines <= 8);
  Nibbles s[MT];
#pragma GCC unroll 8
  for (int m = 0; m < MT; ++m) s[m] = {_mm256_setzero_si256(), _mm256_setzero_si256()};
#pragma GCC unroll 8
  for (int v = 0; v < Lines; ++v) {
    const Nibbles w = line(v);
#pragma GCC unroll 8
    for (int m = 0; m < MT; ++m) {
      const auto xm = broadcast4(x + m * group + 4 * v);
      s[m].a = _mm256_add_epi16(s[m].a, _mm256_maddubs_epi16(w.a, xm));
      s[m].b = _mm256_add_epi16(s[m].b, _mm256_maddubs_epi16(w.b, xm));
      // GCC 12 otherwise sinks the additions past the unrolled loop and spills every product: two to
      // three times slower.
      asm("" : "+x"(s[m].a), "+x"(s[m].b));
    }
  }
  const auto f = _mm256_set1_epi16(factor);
#pragma GCC unroll 8
  for (int m = 0; m < MT; ++m) {
    acc[m].a = _mm256_add_epi32(acc[m].a, _mm256_madd_epi16(s[m].a, f));
    acc[m].b = _mm256_add_epi32(acc[m].b, _mm256_madd_epi16(s[m].b, f));
  }
}

// Lines of 4 k in one plane of a block.
template <int Bits>
inline int lines_of_plane(int group) {
  return Bits == 4 ? group / 8 : group / 4;
}

// acc += the products of one plane; line(v) gives its lines.
template <int Bits, int Plane, bool Fp4, int MT, class Line>
inline __attribute__((always_inline)) void add_plane(const Line& line, int group,
                                                     const std::int8_t* a, Vi (&acc)[MT]) {
  const std::int8_t* x = Bits == 4 ? a + Plane * (group / 2) : a;
  constexpr short factor = Bits == 8 && Plane == 1 ? 16 : 1;
  const int lines = lines_of_plane<Bits>(group);
  if (lines == 4) return add_lines<4>(line, x, group, factor, acc);
  constexpr int each = Fp4 ? 4 : 8;
  for (int first = 0; first < lines; first += each)
    add_lines<each>([&](int v) { return line(first + v); }, x + 4 * first, group, factor, acc);
}

/// See simd_scalar.h.
template <int MT, int Bits, bool Fp4 = false>
inline __attribute__((always_inline)) void dot_group(const std::uint8_t* lines, int group,
                                                     const std::int8_t* a, Vi (&acc)[MT]) {
#pragma GCC unroll 8
  for (int m = 0; m < MT; ++m) acc[m] = zero_i();
  add_plane<Bits, 0, Fp4>([&](int v) { return load_plane<0, Fp4>(lines + 64 * v); }, group, a, acc);
  asm("" : "+r"(lines));  // or GCC keeps the first plane's lines in registers, and spills
  add_plane<Bits, 1, Fp4>([&](int v) { return load_plane<1, Fp4>(lines + 64 * v); }, group, a, acc);
}

/// A block's lines as one nibble a byte, plane by plane; returns the end.
template <int Bits, bool Fp4 = false>
inline std::uint8_t* unpack_lines(const std::uint8_t* lines, int group, std::uint8_t* out) {
  const int count = lines_of_plane<Bits>(group);
  for (int v = 0; v < count; ++v, lines += 64, out += 64) {
    const auto low = load_plane<0, Fp4>(lines), high = load_plane<1, Fp4>(lines);
    store256(out, low.a);
    store256(out + 32, low.b);
    store256(out + 64 * count, high.a);
    store256(out + 64 * count + 32, high.b);
  }
  return out + 64 * count;
}

/// As dot_group, from what unpack_lines wrote.
template <int MT, int Bits, bool Fp4 = false>
inline __attribute__((always_inline)) void dot_unpacked(const std::uint8_t* unpacked, int group,
                                                        const std::int8_t* a, Vi (&acc)[MT]) {
#pragma GCC unroll 8
  for (int m = 0; m < MT; ++m) acc[m] = zero_i();
  add_plane<Bits, 0, Fp4>([&](int v) { return load_line(unpacked + 64 * v); }, group, a, acc);
  unpacked += 64 * lines_of_plane<Bits>(group);
  add_plane<Bits, 1, Fp4>([&](int v) { return load_line(unpacked + 64 * v); }, group, a, acc);
}

}  // namespace pippin::cpu::PIPPIN_ISA
