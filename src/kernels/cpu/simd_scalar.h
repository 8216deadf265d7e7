// 16 lanes without vector instructions: the oracle of the others, and what runs on any processor.
#pragma once

#include <bit>
#include <cmath>
#include <cstdint>

#include "kernels/cpu/types.h"

namespace pippin::cpu::PIPPIN_ISA {

struct Vf {
  float x[16];
};
struct Vi {
  std::int32_t x[16];
};
/// One bit a lane.
using Mask = std::uint32_t;

template <class F>
inline Vf make_vf(F lane) {
  Vf r;
  for (int i = 0; i < 16; ++i) r.x[i] = lane(i);
  return r;
}
template <class F>
inline Vi make_vi(F lane) {
  Vi r;
  for (int i = 0; i < 16; ++i) r.x[i] = lane(i);
  return r;
}

inline void narrow(float f, Bf16& h) {
  const auto u = std::bit_cast<std::uint32_t>(f);
  const bool nan = (u & 0x7fffffffu) > 0x7f800000u;
  h.bits =
      static_cast<std::uint16_t>(nan ? (u >> 16) | 0x40u : (u + 0x7fffu + ((u >> 16) & 1u)) >> 16);
}

inline void narrow(float f, F16& h) {
  const auto u = std::bit_cast<std::uint32_t>(f);
  const std::uint32_t sign = (u >> 16) & 0x8000u, magnitude = u & 0x7fffffffu;
  std::uint32_t bits;
  if (magnitude > 0x7f800000u)  // NaN
    bits = 0x7e00u | ((magnitude >> 13) & 0x3ffu);
  else if (magnitude >= 0x477ff000u)  // rounds to 2^16 or more
    bits = 0x7c00u;
  else if (magnitude < 0x38800000u)  // subnormal: let the addition round
    bits = std::bit_cast<std::uint32_t>(std::bit_cast<float>(magnitude) + 0.5f) - 0x3f000000u;
  else
    bits = (magnitude + 0xfffu + ((magnitude >> 13) & 1u) - 0x38000000u) >> 13;
  h.bits = static_cast<std::uint16_t>(sign | bits);
}

inline Vf zero() { return Vf{}; }
inline Vf set1(float v) {
  return make_vf([&](int) { return v; });
}
inline Vf load(const float* p) {
  return make_vf([&](int i) { return p[i]; });
}
inline Vf load(const F16* p) {
  return make_vf([&](int i) { return widen(p[i]); });
}
inline Vf load(const Bf16* p) {
  return make_vf([&](int i) { return widen(p[i]); });
}
inline Vf load(const Code8* p) {
  return make_vf([&](int i) { return static_cast<float>(p[i].level); });
}
/// The levels of 16 pairs' low or high nibbles.
inline Vf load_nibbles(const Code4* p, bool high) {
  return make_vf(
      [&](int i) { return static_cast<float>(kv_levels[high ? p[i].pair >> 4 : p[i].pair & 15]); });
}
inline Vf load_first(const float* p, int n) {
  return make_vf([&](int i) { return i < n ? p[i] : 0.0f; });
}
/// 16 pairs of halves: the first of each pair, and the second.
template <class Half>
inline void load_pairs(const Half* p, Vf& first, Vf& second) {
  first = make_vf([&](int i) { return widen(p[2 * i]); });
  second = make_vf([&](int i) { return widen(p[2 * i + 1]); });
}
inline void store(float* p, Vf v) {
  for (int i = 0; i < 16; ++i) p[i] = v.x[i];
}
inline void store(F16* p, Vf v) {
  for (int i = 0; i < 16; ++i) narrow(v.x[i], p[i]);
}
inline void store(Bf16* p, Vf v) {
  for (int i = 0; i < 16; ++i) narrow(v.x[i], p[i]);
}
inline void store_first(float* p, Vf v, int n) {
  for (int i = 0; i < n; ++i) p[i] = v.x[i];
}

inline Vf operator+(Vf a, Vf b) {
  return make_vf([&](int i) { return a.x[i] + b.x[i]; });
}
inline Vf operator-(Vf a, Vf b) {
  return make_vf([&](int i) { return a.x[i] - b.x[i]; });
}
inline Vf operator*(Vf a, Vf b) {
  return make_vf([&](int i) { return a.x[i] * b.x[i]; });
}
inline Vf operator/(Vf a, Vf b) {
  return make_vf([&](int i) { return a.x[i] / b.x[i]; });
}
/// a * b + c
inline Vf fma(Vf a, Vf b, Vf c) {
  return make_vf([&](int i) { return a.x[i] * b.x[i] + c.x[i]; });
}
inline Vf max(Vf a, Vf b) {
  return make_vf([&](int i) { return a.x[i] > b.x[i] ? a.x[i] : b.x[i]; });
}
inline Vf min(Vf a, Vf b) {
  return make_vf([&](int i) { return a.x[i] < b.x[i] ? a.x[i] : b.x[i]; });
}
inline Vf abs(Vf a) {
  return make_vf([&](int i) { return std::fabs(a.x[i]); });
}
inline Mask less(Vf a, Vf b) {
  Mask m = 0;
  for (int i = 0; i < 16; ++i) m |= static_cast<Mask>(a.x[i] < b.x[i]) << i;
  return m;
}
/// a where the mask's bit is set, else b.
inline Vf select(Mask m, Vf a, Vf b) {
  return make_vf([&](int i) { return (m >> i) & 1u ? a.x[i] : b.x[i]; });
}
inline float sum(Vf v) {
  float s = 0;
  for (const float x : v.x) s += x;
  return s;
}
inline float max_of(Vf v) {
  float m = v.x[0];
  for (const float x : v.x) m = x > m ? x : m;
  return m;
}

/// To the nearest integer, halves to even.
inline Vi to_int(Vf v) {
  return make_vi([&](int i) { return static_cast<std::int32_t>(std::nearbyintf(v.x[i])); });
}
inline Vf to_float(Vi v) {
  return make_vf([&](int i) { return static_cast<float>(v.x[i]); });
}
inline Vf round(Vf v) {
  return make_vf([&](int i) { return std::nearbyintf(v.x[i]); });
}
/// x * 2^n for integral n in [-126, 127].
inline Vf scale_by_power(Vf x, Vf n) {
  return make_vf([&](int i) {
    return x.x[i] * std::bit_cast<float>((static_cast<std::int32_t>(n.x[i]) + 127) << 23);
  });
}
inline Vi zero_i() { return Vi{}; }
inline Vi operator+(Vi a, Vi b) {
  return make_vi([&](int i) { return a.x[i] + b.x[i]; });
}
inline std::int32_t sum(Vi v) {
  std::int32_t s = 0;
  for (const auto x : v.x) s += x;
  return s;
}
/// The lanes as 16 bytes, which must lie in [-128, 127].
inline void store_i8(std::int8_t* p, Vi v) {
  for (int i = 0; i < 16; ++i) p[i] = static_cast<std::int8_t>(v.x[i]);
}
inline void prefetch(const void*) {}
/// Into the second-level cache, which takes more of them at once than the first.
inline void prefetch_far(const void*) {}

/// The rows of one tile of the quantized product; see linear_impl.h.
inline constexpr int max_tile_rows = 4;
inline constexpr int max_float_tile_rows = 4;
/// Attention's query rows of a pass, and vectors that stay in registers while sums run, beside a few operands.
inline constexpr int max_query_rows = 4, max_float_sums = 4;

/// For 16 weight rows and MT activation rows: acc[m][n] = sum over the group's k of q[n][k] * a[m][k].
/// The lines' layout is linear_kernels.h's; a's rows follow each other, `group` bytes each. Fp4: q = fp4_doubles + 12.
template <int MT, int Bits, bool Fp4 = false>
inline void dot_group(const std::uint8_t* lines, int group, const std::int8_t* a, Vi (&acc)[MT]) {
  for (int m = 0; m < MT; ++m) {
    acc[m] = Vi{};
    const std::int8_t* am = a + m * group;
    for (int k = 0; k < group; ++k)
      for (int n = 0; n < 16; ++n) {
        int q;
        if constexpr (Bits == 8) {
          q = lines[(k / 4) * 64 + n * 4 + k % 4];
        } else {
          const int half = group / 2, j = k % half;
          const int byte = lines[(j / 4) * 64 + n * 4 + j % 4];
          q = k < half ? byte & 15 : byte >> 4;
          if constexpr (Fp4) q = fp4_doubles[q] + 12;
        }
        acc[m].x[n] += q * am[k];
      }
  }
}

}  // namespace pippin::cpu::PIPPIN_ISA
