// The instruction sets' tables, each defined by its own isa_*.cpp.
#pragma once

#include "kernels/cpu/kernels.h"

namespace pippin::cpu {

namespace scalar {
extern const Kernels table;
}
#if defined(__x86_64__)
namespace avx2 {
extern const Kernels table;
}
namespace avx512 {
extern const Kernels table;
}
namespace avx512_vnni {
extern const Kernels table;
}
namespace avx512_bf16 {
extern const Kernels table;
}
#elif defined(__aarch64__)
namespace neon_dotprod {
extern const Kernels table;
}
namespace neon_i8mm {
extern const Kernels table;
}
#endif

}  // namespace pippin::cpu
