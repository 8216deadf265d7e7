// Storage formats, read in software: 16-bit floating point, and the codes of quantized keys and values.
// Vector code converts with the instruction set's own instructions (simd_*.h), bit for bit alike.
#pragma once

#include <bit>
#include <cstdint>

namespace pippin::cpu {

/// The upper half of a float.
struct Bf16 {
  std::uint16_t bits;
};

/// IEEE 754 binary16.
struct F16 {
  std::uint16_t bits;
};

/// An integer that is its own level.
struct Code8 {
  std::int8_t level;
};

/// Two indices of kv_levels: one number's in the low nibble, another's in the high one.
struct Code4 {
  std::uint8_t pair;
};

static_assert(sizeof(Bf16) == 2 && sizeof(F16) == 2 && sizeof(Code8) == 1 && sizeof(Code4) == 1);

// Each translation unit has its own (static): see kernels_impl.h.
/// The 16 levels that code normally distributed numbers with the least square error (Max 1960), the
/// largest scaled to 127.
static constexpr std::int8_t kv_levels[16] = {-127, -96, -75, -58, -44, -31, -18, -6,
                                              6,    18,  31,  44,  58,  75,  96,  127};

static inline float widen(float x) { return x; }
static inline float widen(Code8 x) { return x.level; }
static inline float widen(Bf16 h) { return std::bit_cast<float>(std::uint32_t{h.bits} << 16); }

static inline float widen(F16 h) {
  const std::uint32_t sign = std::uint32_t{h.bits & 0x8000u} << 16, rest = h.bits & 0x7fffu;
  const std::uint32_t quiet = rest > 0x7c00u ? 0x400000u : 0u;  // as the instructions make NaNs
  if (rest >= 0x7c00u) return std::bit_cast<float>(sign | 0x7f800000u | quiet | (rest << 13));
  // Exponents differ by 112; the product also makes binary16's subnormals normal.
  const float value = std::bit_cast<float>(rest << 13) * 0x1p112f;
  return std::bit_cast<float>(sign | std::bit_cast<std::uint32_t>(value));
}

/// Twice the values of E2M1's 16 codes (sign, two bits of exponent, one of mantissa).
static constexpr std::int8_t fp4_doubles[16] = {0, 1,  2,  3,  4,  6,  8,  12,
                                                0, -1, -2, -3, -4, -6, -8, -12};

/// E4M3: sign, four bits of exponent, three of mantissa; no infinity.
static inline float widen_e4m3(std::uint8_t x) {
  const std::uint32_t sign = std::uint32_t{x & 0x80u} << 24, rest = x & 0x7fu;
  if (rest == 0x7fu) return std::bit_cast<float>(sign | 0x7fc00000u);
  // Exponents differ by 120; the product also makes subnormals normal.
  const float value = std::bit_cast<float>(rest << 20) * 0x1p120f;
  return std::bit_cast<float>(sign | std::bit_cast<std::uint32_t>(value));
}

/// E8M0: a power of two, 2^(x - 127).
static inline float widen_e8m0(std::uint8_t x) {
  return std::bit_cast<float>(x == 0 ? 0x400000u : std::uint32_t{x} << 23);
}

}  // namespace pippin::cpu
