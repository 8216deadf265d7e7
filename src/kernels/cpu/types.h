// 16-bit floating-point storage formats, converted in software. Vector code converts with the
// instruction set's own instructions (simd_*.h), bit for bit alike.
#pragma once

#include <cstdint>
#include <cstring>

namespace pippin::cpu {

/// The upper half of a float.
struct Bf16 {
  std::uint16_t bits;
};

/// IEEE 754 binary16.
struct F16 {
  std::uint16_t bits;
};

static_assert(sizeof(Bf16) == 2 && sizeof(F16) == 2);

}  // namespace pippin::cpu
