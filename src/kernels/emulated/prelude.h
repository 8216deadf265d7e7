// The vocabulary of our kernels as plain C++: what the tests run on CPUs. A kernel may use these words, float, int, uint, ulong, uint3,
// and what C++, CUDA and MSL 3.1 have in common; no lambda, double, recursion or variable that is static.
#pragma once

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>

#include "kernels/emulated/fibers.h"

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
// As kernels/gpu/prelude.h has it for GPUs.
template <int LANES>
inline float lanes_sum(float x) {
  return Fibers::now().sum(x, LANES);
}
// N numbers that lie one behind the other, N * sizeof(T) aligned.
template <typename T, int N>
inline void load_numbers(const T* from, float* to) {
  for (int i = 0; i < N; ++i) to[i] = static_cast<float>(from[i]);
}

#define SIZE_OF(type) static_cast<int>(sizeof(type))
#define INFINITE INFINITY
inline float cosine(float x) { return std::cos(x); }
inline float sine(float x) { return std::sin(x); }
inline uint bits_of(float x) { return std::bit_cast<uint>(x); }
inline float float_of_bits(uint x) { return std::bit_cast<float>(x); }
// Adds to a number of shared memory, whoever else does so.
inline void shared_add(uint* at, uint x) { *at += x; }
// Before this a kernel reads nothing but weights: the kernel before it may still run.
inline void inputs_ready() {}
// As load_numbers, of shared memory.
template <typename T, int N>
inline void load_shared(const T* from, float* to) {
  load_numbers<T, N>(from, to);
}
// The 16 bytes [16 at, 16 at + 16) of memory that is 16 bytes aligned.
inline void load_words(const uint* from, ulong at, uint* to) { std::memcpy(to, from + 4 * at, 16); }
// 16 bytes as numbers.
template <typename T>
inline void numbers_of(const uint* words, float* to) {
  T numbers[16 / sizeof(T)];
  std::memcpy(numbers, words, 16);
  for (std::size_t i = 0; i < 16 / sizeof(T); ++i) to[i] = static_cast<float>(numbers[i]);
}
// A word's codes of BITS bits, the lowest first, each larger by code_offset().
template <typename T, int BITS>
constexpr float code_offset() {
  return BITS == 4 && sizeof(T) < 4 ? 128.0f : 0.0f;
}
template <typename T, int BITS>
inline void codes_of(uint word, float* to) {
  for (int i = 0; i < 32 / BITS; ++i)
    to[i] = static_cast<float>((word >> (i * BITS)) & ((1u << BITS) - 1u)) + code_offset<T, BITS>();
}

}  // namespace pippin::kernels::gpu::emulated
