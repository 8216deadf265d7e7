// The vocabulary of our kernels as plain C++: what the tests run on CPUs. A kernel may use these words, float, int, uint, ulong, uint3,
// and what C++, CUDA and MSL 3.1 have in common; no lambda, double, recursion or variable that is static.
#pragma once

#include <algorithm>
#include <cmath>

#include "kernels/gpu/fibers.h"

#define FN inline  // a function
#define DEVICE     // of a pointer: to device memory
#define SHARED     // to a group's shared memory
#define THREAD     // to a thread's own
#define UNROLL     // before a loop of constant bounds
// Declares a group's shared memory; at the top of a kernel's call, 32 KB in all.
#define SHARED_ARRAY(type, name, count) type* const name = shared_memory<type>(count)

namespace pippin::kernels::gpu::emulated {

using uint = unsigned;
using ulong = unsigned long;
using std::max;
using std::min;

// Waits for all threads of the group, which all must come here.
inline void group_barrier() { Fibers::now().meet_group(); }
inline float exp2_fast(float x) { return std::exp2(x); }
inline float rsqrt_fast(float x) { return 1.0f / std::sqrt(x); }
// x of the lane whose number differs in these bits; all 32 lanes of a warp must come here.
inline float lane_xor(float x, int mask) { return Fibers::now().exchange(x, mask); }
// N numbers that lie one behind the other, N * sizeof(T) aligned.
template <typename T, int N>
inline void load_numbers(const T* from, float* to) {
  for (int i = 0; i < N; ++i) to[i] = static_cast<float>(from[i]);
}

}  // namespace pippin::kernels::gpu::emulated
