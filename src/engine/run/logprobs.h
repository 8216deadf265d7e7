// What a model thought of the tokens it said: log-probabilities, from MLX's operations or the CPU's kernels.
#pragma once

#include <mlx/mlx.h>

#include <cstddef>
#include <cstdint>

#include "engine/answer/token_stream.h"
#include "kernels/cpu/sampling.h"

namespace pippin::engine {

namespace mx = mlx::core;

/// Lazy, of R rows and the K likeliest tokens of each, likeliest first (of equal ones the lower ids).
struct LogprobArrays {
  mx::array chosen;      ///< float32 [R]
  mx::array ranks;       ///< int32 [R]: 1 where no other token is likelier
  mx::array top_tokens;  ///< int32 [R, K]; [R, 1] for K = 0
  mx::array top;         ///< float32, as top_tokens
};

/// logits float32 [R, V], tokens int32 [R] -> log softmax of the tokens and of the `count` likeliest, in [0, V].
LogprobArrays logprobs_of(const mx::array& logits, const mx::array& tokens, int count);

/// Row `row` of evaluated arrays, with at most `count` of the likeliest tokens: impossible ones (-infinity) are left out.
TokenLogprobs read_row(const LogprobArrays& arrays, std::size_t row, std::int32_t token, int count);

TokenLogprobs read_row(const cpu::Sampled& sampled);

}  // namespace pippin::engine
