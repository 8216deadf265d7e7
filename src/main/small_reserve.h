// Memory for small allocations once the system gives none (small_reserve.cpp).
#pragma once

#include <cstddef>

namespace pippin {

inline constexpr std::size_t small_allocation_bytes = 256;
inline constexpr std::size_t small_reserve_blocks = 4096;

}  // namespace pippin
