// The vocabulary of our kernels in CUDA C++, as NVRTC compiles it behind MLX's own headers. kernels/emulated/prelude.h explains the words.
#define FN __device__ inline
#define DEVICE
#define SHARED
#define THREAD
#define SHARED_ARRAY(type, name, count) __shared__ __align__(16) type name[count]
#define UNROLL _Pragma("unroll")
typedef unsigned int uint;
typedef unsigned long long ulong;
FN void group_barrier() { __syncthreads(); }
FN float exp2_fast(float x) { return exp2f(x); }
FN float rsqrt_fast(float x) { return rsqrtf(x); }
FN float lane_xor(float x, int mask) { return __shfl_xor_sync(0xffffffffu, x, mask); }
template <typename T, int N>
FN void load_numbers(const T* from, float* to) {
  constexpr int bytes = N * sizeof(T), step = bytes % 16 == 0  ? 16
                                              : bytes % 8 == 0 ? 8
                                              : bytes % 4 == 0 ? 4
                                                               : sizeof(T);
  constexpr int each = step / sizeof(T);
  struct alignas(step) Pack {
    T x[each];
  };
  UNROLL for (int i = 0; i < N / each; ++i) {
    const Pack pack = reinterpret_cast<const Pack*>(from)[i];
    UNROLL for (int j = 0; j < each; ++j) to[i * each + j] = float(pack.x[j]);
  }
}
#define SIZE_OF(type) int(sizeof(type))
#define INFINITE __int_as_float(0x7f800000)
FN float cosine(float x) { return cosf(x); }
FN float sine(float x) { return sinf(x); }
FN uint bits_of(float x) { return __float_as_uint(x); }
FN float float_of_bits(uint x) { return __uint_as_float(x); }
FN void shared_add(uint* at, uint x) { atomicAdd(at, x); }
FN void next_may_start() {  // and waits at its inputs_ready()
#if __CUDA_ARCH__ >= 900
  asm volatile("griddepcontrol.launch_dependents;" ::: "memory");
#endif
}
FN void inputs_ready() {
#if __CUDA_ARCH__ >= 900
  asm volatile("griddepcontrol.wait;" ::: "memory");
#endif
}
template <typename T, int N>
FN void load_shared(const T* from, float* to) {
  load_numbers<T, N>(from, to);
}
FN void load_words(const uint* from, ulong at, uint* to) {
  const uint4 words = reinterpret_cast<const uint4*>(from)[at];
  to[0] = words.x;
  to[1] = words.y;
  to[2] = words.z;
  to[3] = words.w;
}
template <typename T>
FN void numbers_of(const uint* words, float* to) {
  const T* numbers = reinterpret_cast<const T*>(words);
  UNROLL for (int i = 0; i < int(16 / sizeof(T)); ++i) to[i] = float(numbers[i]);
}
// Four bits are four of the mantissa of 128: to put them there is all that it takes. Beside float32 numbers 128 would be too large: the
// rounding of what is added goes by it.
template <typename T, int BITS>
FN constexpr float code_offset() {
  return BITS == 4 && sizeof(T) < 4 ? 128.0f : 0.0f;
}
template <typename T, int BITS>
FN void codes_of(uint word, float* to) {
  if (BITS == 4) {
    constexpr bool keeps = code_offset<T, BITS>() > 0.0f;
    const uint low = word & 0x0f0f0f0fu, high = (word >> 4) & 0x0f0f0f0fu;
    UNROLL for (int i = 0; i < 4; ++i) {
      const uint place = 0x7044u + (uint(i) << 8);
      to[2 * i] = __uint_as_float(__byte_perm(low, 0x43000000u, place)) - (keeps ? 0.0f : 128.0f);
      to[2 * i + 1] =
          __uint_as_float(__byte_perm(high, 0x43000000u, place)) - (keeps ? 0.0f : 128.0f);
    }
  } else {
    UNROLL for (int i = 0; i < 4; ++i) to[i] =
        __uint_as_float(__byte_perm(word, 0x4b000000u, 0x7540 + i)) - 8388608.0f;
  }
}
