// The vocabulary of our kernels in Metal's language (MSL 3.1), behind MLX's utils.h. prelude_emulated.h explains the words.
#define FN inline
#define DEVICE device
#define SHARED threadgroup
#define THREAD thread
#define SHARED_ARRAY(type, name, count) threadgroup type name[count]
#define UNROLL _Pragma("clang loop unroll(full)")
inline void group_barrier() { threadgroup_barrier(mem_flags::mem_threadgroup); }
inline float exp2_fast(float x) { return metal::fast::exp2(x); }
inline float rsqrt_fast(float x) { return metal::rsqrt(x); }
inline float lane_xor(float x, int mask) { return simd_shuffle_xor(x, ushort(mask)); }
template <typename T, int N>
inline void load_numbers(const device T* from, thread float* to) {
  for (int i = 0; i < N; ++i) to[i] = float(from[i]);
}
