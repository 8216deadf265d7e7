// What a row of a step changes of its logits before it chooses: biases and penalties, then a mask.
#pragma once

#include <mlx/mlx.h>

#include <vector>

#include "engine/run/sampler.h"
#include "kernels/gpu/sampling.h"

namespace pippin::engine {

namespace mx = mlx::core;

/// The row's edits, one for each token, in the order of tokens.
std::vector<kernels::gpu::LogitEdit> edits_of(const SampleRow& row);

/// logits float32 [R, V] with all rows' edits, by MLX's operations.
mx::array edited(const mx::array& logits, const std::vector<SampleRow>& rows);

/// logits float32 [R, V] with -infinity for tokens that a row must not take, by MLX's operations.
mx::array masked(const mx::array& logits, const std::vector<SampleRow>& rows);

/// The rows as our GPU kernels read them: all but their log-probabilities, escapes and given tokens. vocabulary: V.
kernels::gpu::SamplingInput sampling_input(const std::vector<SampleRow>& rows, int vocabulary);

}  // namespace pippin::engine
