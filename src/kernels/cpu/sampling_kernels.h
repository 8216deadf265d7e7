// Passes over a row of logits: one thread's share of the choice of a token (see sampling.h).
#pragma once

#include <cstdint>

namespace pippin::cpu {

/// Logits under one maximum. K-th largest of the maxima <= K-th largest of the logits, so that a few
/// blocks hold all that a filter may keep.
inline constexpr int max_block = 64;
/// Weights under one sum: the first step of a draw finds the block, the second the token.
inline constexpr int sum_block = 1024;

/// A weight is e^((x - top) * scale); zero, exactly, where that is e^-87 or less, or where x is NaN.
/// It has the same bits wherever its logit lies.
struct SamplingKernels {
  /// maxima[b] = the largest of x[b * max_block ...], the last block ending at n. NaNs are passed over;
  /// -infinity where a block holds nothing else.
  void (*block_maxima)(const float* x, std::int64_t n, float* maxima);
  /// sums[b] = the sum of the weights of x[b * sum_block ...].
  void (*block_sums)(const float* x, std::int64_t n, float top, float scale, float* sums);
  /// out[i] = the weight of x[i].
  void (*weights)(const float* x, std::int64_t n, float top, float scale, float* out);
  /// Appends those i in [begin, end) with x[i] > bound, and their x, in order; returns how many. There
  /// is room for end - begin.
  std::int64_t (*above)(const float* x, std::int64_t begin, std::int64_t end, float bound,
                        std::int32_t* indices, float* values);
  /// out[i] = x[i] where bit i % 32 of allowed[i / 32] is set, else -infinity; begin is a multiple of 32. In place or not.
  void (*masked)(const float* x, const std::uint32_t* allowed, std::int64_t begin, std::int64_t end,
                 float* out);
  /// out[i] = cap * tanh(x[i] / cap), NaN where x[i] is NaN or infinite. In place or not.
  void (*capped)(const float* x, std::int64_t n, float cap, float* out);
};

}  // namespace pippin::cpu
