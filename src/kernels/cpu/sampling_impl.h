// Passes over logits on 16 lanes.
#pragma once

#include <cstdint>

#include "kernels/cpu/math_impl.h"
#include "kernels/cpu/sampling_kernels.h"

namespace pippin::cpu::PIPPIN_ISA {

// Lanes at n and above hold `rest`.
inline Vf load_or(const float* p, std::int64_t n, Vf rest) {
  if (n >= 16) return load(p);
  const int count = static_cast<int>(n);
  return select((Mask{1} << count) - 1, load_first(p, count), rest);
}

// max() passes over a NaN in its first operand.
inline void block_maxima(const float* x, std::int64_t n, float* maxima) {
  const Vf lowest = set1(-__builtin_inff());
  std::int64_t i = 0;
  for (; i + max_block <= n; i += max_block) {
    const Vf a = max(load(x + i), lowest), b = max(load(x + i + 16), lowest);
    const Vf c = max(load(x + i + 32), lowest), d = max(load(x + i + 48), lowest);
    *maxima++ = max_of(max(max(a, b), max(c, d)));
  }
  if (i == n) return;
  Vf largest = lowest;
  for (; i < n; i += 16) largest = max(load_or(x + i, n - i, lowest), largest);
  *maxima = max_of(largest);
}

inline Vf weight_of(Vf x, Vf top, Vf scale) {
  const Vf y = (x - top) * scale;
  return select(less(set1(-87.0f), y), exp(y), zero());  // zero for NaN, too
}

inline void block_sums(const float* x, std::int64_t n, float top, float scale, float* sums) {
  const Vf t = set1(top), s = set1(scale), lowest = set1(-__builtin_inff());
  for (; n >= sum_block; n -= sum_block, x += sum_block) {
    Vf even = zero(), odd = zero();
    for (int i = 0; i < sum_block; i += 32) {
      even = even + weight_of(load(x + i), t, s);
      odd = odd + weight_of(load(x + i + 16), t, s);
    }
    *sums++ = sum(even + odd);
  }
  if (n == 0) return;
  Vf total = zero();
  for (; n > 0; n -= 16, x += 16) total = total + weight_of(load_or(x, n, lowest), t, s);
  *sums = sum(total);
}

inline void weights(const float* x, std::int64_t n, float top, float scale, float* out) {
  const Vf t = set1(top), s = set1(scale);
  for (; n >= 16; n -= 16, x += 16, out += 16) store(out, weight_of(load(x), t, s));
  if (n == 0) return;
  const int count = static_cast<int>(n);
  store_first(out, weight_of(load_first(x, count), t, s), count);
}

inline std::int64_t above(const float* x, std::int64_t begin, std::int64_t end, float bound,
                          std::int32_t* indices, float* values) {
  const Vf b = set1(bound);
  std::int64_t count = 0;
  for (std::int64_t i = begin; i < end; i += 16) {
    std::uint32_t found = less(b, load_or(x + i, end - i, b));
    for (; found != 0; found &= found - 1, ++count) {
      const std::int64_t at = i + __builtin_ctz(found);
      indices[count] = static_cast<std::int32_t>(at);
      values[count] = x[at];
    }
  }
  return count;
}

inline void masked(const float* x, const std::uint32_t* allowed, std::int64_t begin,
                   std::int64_t end, float* out) {
  const Vf lowest = set1(-__builtin_inff());
  for (std::int64_t i = begin; i < end; i += 16) {
    const Mask bits = (allowed[i / 32] >> (i % 32)) & 0xffffu;
    if (end - i >= 16) {
      store(out + i, select(bits, load(x + i), lowest));
    } else {
      const int count = static_cast<int>(end - i);
      store_first(out + i, select(bits, load_first(x + i, count), lowest), count);
    }
  }
}

// tanh of NaN is -1: x - x brings it back.
inline Vf capped(Vf x, Vf cap, Vf inverse) { return fma(cap, tanh(x * inverse), x - x); }

inline void capped(const float* x, std::int64_t n, float cap, float* out) {
  const Vf c = set1(cap), inverse = set1(1.0f / cap);
  for (; n >= 16; n -= 16, x += 16, out += 16) store(out, capped(load(x), c, inverse));
  if (n == 0) return;
  const int count = static_cast<int>(n);
  store_first(out, capped(load_first(x, count), c, inverse), count);
}

inline constexpr SamplingKernels sampling_kernels = {block_maxima, block_sums, weights,
                                                     above,        masked,     capped};

}  // namespace pippin::cpu::PIPPIN_ISA
