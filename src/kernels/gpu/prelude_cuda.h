// The vocabulary of our kernels in CUDA C++, as NVRTC compiles it behind MLX's own headers. prelude_emulated.h explains the words.
#define FN __device__ inline
#define DEVICE
#define SHARED
#define THREAD
#define SHARED_ARRAY(type, name, count) __shared__ type name[count]
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
