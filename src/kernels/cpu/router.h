// Which experts a token goes to, and with what weights. Plain numbers, no instruction set of its own: some hundred
// logits a token.
#pragma once

#include <cstdint>

#include "kernels/cpu/team.h"

namespace pippin::cpu {

/// How logits become scores.
enum class RouterScores {
  softmax,  ///< over all experts
  /// Over the chosen ones alone. The same numbers as softmax and then `normalize`, but for rounding.
  softmax_of_chosen,
  sigmoid,
};

/// The k experts with the best scores (+ correction); a token's weights are their scores (without the correction).
struct RouterOptions {
  int num_experts = 0;  ///< E
  int top_k = 1;        ///< experts of a token
  RouterScores scores = RouterScores::softmax;
  bool normalize = false;  ///< weights are divided by their sum (+ 1e-20)
  float scale = 1;         ///< of the weights, at the end
  /// Experts lie in so many equal groups; only the kept ones, those with the largest sum of their `group_best` best corrected
  /// scores, may be chosen from.
  int groups = 1, kept_groups = 1;
  int group_best = 2;  ///< 1 or 2
};

/// logits [rows, E] -> chosen [rows, k] in falling order of (corrected) score, the lower number first among equals;
/// weights [rows, k]. `correction` [E] or null; `expert_scales` [E], which multiply the weights at the end, or null.
/// Throws nothing; the options must be consistent.
void route(Team& team, const RouterOptions& options, const float* logits, const float* correction,
           int rows, std::int32_t* chosen, float* weights, const float* expert_scales = nullptr);

}  // namespace pippin::cpu
