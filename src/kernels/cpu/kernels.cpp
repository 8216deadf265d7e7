#include "kernels/cpu/kernels.h"

#include <algorithm>

#include "kernels/cpu/tables.h"
#include "pippin/error.h"

namespace pippin::cpu {

const Kernels& kernels_of(Isa isa) {
  const auto available = available_isas();
  if (std::find(available.begin(), available.end(), isa) == available.end())
    throw Error(Code::invalid_argument, "[cpu] this machine lacks " + std::string(name_of(isa)));
  switch (isa) {
#if defined(__x86_64__)
    case Isa::avx2:
      return avx2::table;
    case Isa::avx512:
      return avx512::table;
    case Isa::avx512_vnni:
      return avx512_vnni::table;
    case Isa::avx512_bf16:
      return avx512_bf16::table;
#elif defined(__aarch64__)
    case Isa::neon_dotprod:
      return neon_dotprod::table;
    case Isa::neon_i8mm:
      return neon_i8mm::table;
#endif
    default:
      return scalar::table;
  }
}

const Kernels& kernels() {
  static const Kernels& selected = kernels_of(selected_isa());
  return selected;
}

}  // namespace pippin::cpu
