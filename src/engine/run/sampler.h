// Logits -> tokens, for a whole step at once and on the device.
//
// One random number decides a row: u in [0, 1), a hash of the request's seed and the token's index. The filters keep the most
// likely tokens (lower ids first among equals). In order of id, the first kept token at which the cumulative probability passes u
// is taken. Equal seeds therefore give equal tokens in any batch and after a preemption, and CPUs need no sort
// (kernels/cpu/sampling.h).
#pragma once

#include <mlx/mlx.h>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <vector>

#include "engine/run/logprobs.h"
#include "kernels/cpu/sampling.h"
#include "kernels/cpu_backend.h"
#include "pippin/request.h"

namespace pippin::engine {

namespace mx = mlx::core;

struct SampleRow {
  SamplingOptions options;
  float uniform = 0;  ///< see uniform_of; not used by greedy rows
  /// Token counts for the penalties; empty without penalties.
  std::vector<cpu::TokenCount> counts = {};
  /// Bit t % 32 of allowed[t / 32] says whether token t may be taken. At least one is set. Empty: every token may be.
  std::span<const std::uint32_t> allowed = {};
  /// This token may be taken although it is not allowed, if the row would take it without the mask. -1: none.
  std::int32_t escape = -1;
  /// If not negative, the row's token is given and only its log-probability is wanted.
  std::int32_t given = -1;
};

/// Whether the row takes the largest logit as it is, and no more is asked.
bool plainly_greedy(const SampleRow& row);

/// Called with a row's number, by some thread, before its `allowed` is read.
using FillMask = std::function<void(std::size_t)>;

/// The counts that the penalties of `options` need. The first num_prompt tokens are the prompt's.
std::vector<cpu::TokenCount> count_tokens(const SamplingOptions& options,
                                          const std::vector<std::int32_t>& tokens,
                                          std::int64_t num_prompt);

/// Sets the tokens' probability to 0.
void forbid(const std::vector<std::int32_t>& tokens, SamplingOptions& options);

/// A number in [0, 1), uniform over seeds and indices.
float uniform_of(std::uint64_t seed, std::int64_t index);

/// The chosen tokens of a step.
struct Sampled {
  mx::array tokens;  ///< int32 [R]
  /// If any row asks for log-probabilities: those of all rows, from MLX's operations or from the CPU's kernels.
  std::optional<LogprobArrays> device_logprobs = {};
  std::vector<cpu::Sampled> host_logprobs = {};

  /// The arrays that must be evaluated before they are read.
  std::vector<mx::array> arrays() const;
};

/// Samples logits float32 [R, V] to tokens int32 [R]; row i by rows[i]. The backend's threads sample if there is a backend, else MLX's
/// operations on any device. Both agree up to rounding. The backend's threads call `fill` once a row; without a backend all masks
/// must be filled before.
Sampled sample(const mx::array& logits, const std::vector<SampleRow>& rows,
               const kernels::CpuBackendPtr& backend = nullptr, FillMask fill = nullptr);

/// The log-probabilities of each row: null for a row that asks for none, empty if no row asks. The arrays must be evaluated.
std::vector<TokenLogprobs> read_logprobs(const Sampled& sampled,
                                         const std::vector<SampleRow>& rows);

}  // namespace pippin::engine
