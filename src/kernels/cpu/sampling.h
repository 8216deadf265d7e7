// Logits -> tokens in host memory, without sorting a vocabulary.
//
// A row's logits are edited first (biases, then penalties, then those that must not be taken). Greedy rows take the largest, the first of
// equals. Other rows order their tokens by logit, equal ones by index, and keep the longest start of
// that order which every filter allows:
//   top_k  the first k;
//   top_p  tokens before which less than top_p of the probability (of what top_k keeps) has passed, so
//          always the first;
//   min_p  tokens at least min_p times as likely as the first.
// What is kept is drawn from in order of INDEX: the first token at which the sum of the probabilities
// passes `uniform` of the whole. Probabilities are those at the row's temperature.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "kernels/cpu/kernels.h"
#include "kernels/cpu/team.h"

namespace pippin::cpu {

/// A token of the text so far, once in a list.
struct TokenCount {
  std::int32_t token;      ///< in [0, V)
  std::int32_t generated;  ///< how often the answer has it; 0 where only the prompt does
};

struct TokenBias {
  std::int32_t token;  ///< in [0, V)
  float bias;          ///< added to its logit; -infinity forbids it
};

/// What one row wants.
struct Sampling {
  float temperature = 1;  ///< below 1e-5 is greedy: dividing by it would leave float32's range
  float top_p = 1;        ///< in (0, 1]; 1 keeps all
  float min_p = 0;        ///< in [0, 1]; 0 keeps all
  int top_k = 0;          ///< 0 keeps all
  float uniform = 0;      ///< in [0, 1); unused by greedy rows
  /// Divides a positive and multiplies a negative logit of all tokens of `counts` (arXiv 1909.05858);
  /// above 0, 1 changes nothing.
  float repetition_penalty = 1;
  float presence_penalty = 0;   ///< subtracted where a token was generated
  float frequency_penalty = 0;  ///< subtracted for each time it was
  std::span<const TokenCount> counts;
  std::span<const TokenBias> biases;
  /// Bit t % 32 of allowed[t / 32]: whether token t may be taken; the others' logits become -infinity. Empty: any may.
  std::span<const std::uint32_t> allowed;
  /// How many of the likeliest tokens to name with their log-probabilities; 0 names none beside the
  /// chosen one's, -1 saves that work too.
  int top_logprobs = -1;
  /// Where not negative, the token is this one: only its log-probability and rank are wanted.
  std::int32_t given = -1;
};

struct TokenLogprob {
  std::int32_t token;
  float logprob;
};

/// Log-probabilities are of the edited logits, before temperature and filters.
struct Sampled {
  std::int32_t token = 0;
  float logprob = 0;              ///< of the token; 0 where not asked for
  std::vector<TokenLogprob> top;  ///< likeliest first
  std::int64_t rank = 0;          ///< of a given token: 1 is the likeliest; 0 of others
};

/// Row i of logits float32 [rows.size(), vocabulary] as rows[i] wants. A row's answer depends on nothing
/// but itself, not on the number of threads either. A row whose largest logit is not finite is greedy,
/// without log-probabilities; NaNs are never chosen unless there is nothing else.
std::vector<Sampled> sample(Team& team, const Kernels& kernels, const float* logits,
                            std::int64_t vocabulary, std::span<const Sampling> rows);

}  // namespace pippin::cpu
