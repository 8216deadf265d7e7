// Logits -> tokens, for a whole step at once and on the device.
//
// A sampled row is decided by one number u in [0, 1), a hash of the request's seed and the token's index. The filters keep
// the first tokens in order of probability (of equal ones the lower ids); of these, in order of id, the first is taken at
// which the cumulative probability passes u. So equal seeds give equal tokens in any batch, and after a preemption; and the
// CPU finds them without sorting (kernels/cpu/sampling.h).
#pragma once

#include <mlx/mlx.h>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <vector>

#include "engine/logprobs.h"
#include "kernels/cpu/sampling.h"
#include "kernels/cpu_backend.h"
#include "pippin/request.h"

namespace pippin::engine {

namespace mx = mlx::core;

struct SampleRow {
  SamplingOptions options;
  float uniform = 0;  ///< see uniform_of; not used by greedy rows
  /// The tokens that the penalties are for; empty where there are none.
  std::vector<cpu::TokenCount> counts = {};
  /// Bit t % 32 of allowed[t / 32]: whether token t may be taken; one is at least. Empty: any may.
  std::span<const std::uint32_t> allowed = {};
  /// Taken although it is not allowed, where it is what the row would take if all were. -1: none.
  std::int32_t escape = -1;
  /// Where not negative, what the row's token is: only its log-probability is wanted.
  std::int32_t given = -1;
};

/// Called with a row's number, by some thread, before its `allowed` is read.
using FillMask = std::function<void(std::size_t)>;

/// What the penalties of `options` have to know of a text: of its tokens, the first num_prompt are the prompt's.
std::vector<cpu::TokenCount> count_tokens(const SamplingOptions& options,
                                          const std::vector<std::int32_t>& tokens,
                                          std::int64_t num_prompt);

/// Makes tokens impossible.
void forbid(const std::vector<std::int32_t>& tokens, SamplingOptions& options);

/// A number in [0, 1), evenly spread over seeds and indices.
float uniform_of(std::uint64_t seed, std::int64_t index);

/// What was chosen.
struct Sampled {
  mx::array tokens;  ///< int32 [R]
  /// Where some row wants log-probabilities, those of all: by MLX's operations or from the CPU's.
  std::optional<LogprobArrays> device_logprobs = {};
  std::vector<cpu::Sampled> host_logprobs = {};

  /// To be evaluated before they are read.
  std::vector<mx::array> arrays() const;
};

/// logits float32 [R, V] -> tokens int32 [R], row i as rows[i] wants. With a backend its threads choose; else MLX's
/// operations, on any device. The two agree but for rounding. fill, where there is one, is called by the backend's threads, for
/// each row once; without a backend all masks are there before.
Sampled sample(const mx::array& logits, const std::vector<SampleRow>& rows,
               const kernels::CpuBackendPtr& backend = nullptr, FillMask fill = nullptr);

/// Of each row, null where it wants none; empty where none does. Once the arrays are evaluated.
std::vector<TokenLogprobs> read_logprobs(const Sampled& sampled,
                                         const std::vector<SampleRow>& rows);

}  // namespace pippin::engine
