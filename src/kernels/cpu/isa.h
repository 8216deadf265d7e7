// Which instruction set the kernels use, decided at run time.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace pippin::cpu {

/// From the plainest to the widest of a processor family.
enum class Isa { scalar, avx2, avx512, avx512_vnni, avx512_bf16, neon_dotprod, neon_i8mm };

std::string_view name_of(Isa isa);

/// What this processor (and its operating system) can run, plainest first; scalar is always there.
std::vector<Isa> available_isas();

/// The widest of available_isas(), or the one that the environment's PIPPIN_CPU names.
/// Throws Error(invalid_argument) naming the possible values where PIPPIN_CPU names none of them.
Isa selected_isa();

}  // namespace pippin::cpu
