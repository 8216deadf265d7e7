#include "kernels/cpu/isa.h"

#include <algorithm>
#include <cstdlib>

#include "pippin/error.h"

#if defined(__aarch64__) && defined(__linux__)
#include <sys/auxv.h>
#endif
#if defined(__aarch64__) && defined(__APPLE__)
#include <sys/sysctl.h>
#endif

namespace pippin::cpu {
namespace {

#if defined(__aarch64__) && defined(__linux__)
bool has_dotprod() { return getauxval(AT_HWCAP) & (1UL << 20); }  // HWCAP_ASIMDDP
bool has_i8mm() { return getauxval(AT_HWCAP2) & (1UL << 13); }    // HWCAP2_I8MM
#elif defined(__aarch64__) && defined(__APPLE__)
bool has_feature(const char* name) {
  int value = 0;
  std::size_t size = sizeof(value);
  return sysctlbyname(name, &value, &size, nullptr, 0) == 0 && value != 0;
}
bool has_dotprod() { return has_feature("hw.optional.arm.FEAT_DotProd"); }
bool has_i8mm() { return has_feature("hw.optional.arm.FEAT_I8MM"); }
#endif

}  // namespace

std::string_view name_of(Isa isa) {
  switch (isa) {
    case Isa::scalar:
      return "scalar";
    case Isa::avx2:
      return "avx2";
    case Isa::avx512:
      return "avx512";
    case Isa::avx512_vnni:
      return "avx512_vnni";
    case Isa::avx512_bf16:
      return "avx512_bf16";
    case Isa::neon_dotprod:
      return "neon_dotprod";
    case Isa::neon_i8mm:
      return "neon_i8mm";
  }
  return "?";
}

std::vector<Isa> available_isas() {
  std::vector<Isa> found = {Isa::scalar};
#if defined(__x86_64__)
  // __builtin_cpu_supports also asks whether the system saves the registers.
  const bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
                    __builtin_cpu_supports("f16c");
  const bool avx512 = avx2 && __builtin_cpu_supports("avx512f") &&
                      __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
                      __builtin_cpu_supports("avx512vl");
  if (avx2) found.push_back(Isa::avx2);
  if (avx512) found.push_back(Isa::avx512);
  const bool vnni = avx512 && __builtin_cpu_supports("avx512vnni");
  if (vnni) found.push_back(Isa::avx512_vnni);
  if (vnni && __builtin_cpu_supports("avx512bf16")) found.push_back(Isa::avx512_bf16);
#elif defined(__aarch64__)
  if (has_dotprod()) found.push_back(Isa::neon_dotprod);
  if (has_dotprod() && has_i8mm()) found.push_back(Isa::neon_i8mm);
#endif
  return found;
}

Isa selected_isa() {
  const auto available = available_isas();
  const char* wanted = std::getenv("PIPPIN_CPU");
  if (!wanted || !*wanted) return available.back();
  std::string names;
  for (const Isa isa : available) {
    if (name_of(isa) == wanted) return isa;
    names += (names.empty() ? "" : ", ") + std::string(name_of(isa));
  }
  throw Error(Code::invalid_argument,
              "[cpu] PIPPIN_CPU is '" + std::string(wanted) + "'; this machine has " + names);
}

}  // namespace pippin::cpu
