// The vocabulary of our kernels in Metal's language (MSL 3.1), behind MLX's utils.h. kernels/emulated/prelude.h explains the words.
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
#define SIZE_OF(type) int(sizeof(type))
#define INFINITE INFINITY
inline float cosine(float x) { return metal::precise::cos(x); }
inline float sine(float x) { return metal::precise::sin(x); }
inline uint bits_of(float x) { return as_type<uint>(x); }
inline float float_of_bits(uint x) { return as_type<float>(x); }
inline void shared_add(threadgroup uint* at, uint x) {
  atomic_fetch_add_explicit(reinterpret_cast<threadgroup atomic_uint*>(at), x,
                            memory_order_relaxed);
}
inline void inputs_ready() {}
template <typename T, int N>
inline void load_shared(const threadgroup T* from, thread float* to) {
  for (int i = 0; i < N; ++i) to[i] = float(from[i]);
}
inline void load_words(const device uint* from, ulong at, thread uint* to) {
  const uint4 words = reinterpret_cast<const device uint4*>(from)[at];
  for (int i = 0; i < 4; ++i) to[i] = words[i];
}
template <typename T>
inline void numbers_of(const thread uint* words, thread float* to) {
  const thread T* numbers = reinterpret_cast<const thread T*>(words);
  for (int i = 0; i < int(16 / sizeof(T)); ++i) to[i] = float(numbers[i]);
}
template <typename T, int BITS>
constexpr float code_offset() {
  return 0.0f;
}
template <typename T, int BITS>
inline void codes_of(uint word, thread float* to) {
  for (int i = 0; i < 32 / BITS; ++i) to[i] = float((word >> uint(i * BITS)) & ((1u << BITS) - 1u));
}
