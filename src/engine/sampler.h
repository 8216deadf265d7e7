// Logits -> tokens, for a whole step at once and on the device.
//
// A sampled row is decided by one number u in [0, 1), a hash of the request's seed and the token's index: the first token,
// in order of probability, at which the cumulative probability of what the filters keep passes u. So equal seeds give equal
// tokens in any batch, and after a preemption.
#pragma once

#include <mlx/mlx.h>

#include <cstdint>
#include <vector>

#include "pippin/request.h"

namespace pippin::engine {

namespace mx = mlx::core;

struct SampleRow {
  SamplingOptions options;
  float uniform = 0;  ///< see uniform_of; not used by greedy rows
};

/// A number in [0, 1), evenly spread over seeds and indices.
float uniform_of(std::uint64_t seed, std::int64_t index);

/// logits float32 [R, V] -> tokens int32 [R], row i as rows[i] wants.
mx::array sample(const mx::array& logits, const std::vector<SampleRow>& rows);

}  // namespace pippin::engine
