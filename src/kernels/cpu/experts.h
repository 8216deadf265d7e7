// A mixture of experts on the CPU: each token's rows through the gated products of its experts.
#pragma once

#include <cstdint>
#include <vector>

#include "kernels/cpu/linear.h"

namespace pippin::cpu {

/// A matrix of each expert, all of one shape and layout.
using PackedBank = std::vector<PackedMatrix>;

struct ExpertsArgs {
  const float* x;  ///< [rows, K], contiguous
  int rows;
  const std::int32_t* chosen;  ///< [rows, top_k], below the number of experts
  const float* weights;        ///< [rows, top_k]
  int top_k;
  const PackedBank& gate;  ///< [N, K] each
  const PackedBank* up;    ///< [N, K] each; null: activation(gate x) alone passes on
  const PackedBank& down;  ///< [K, N] each
  /// [E, N], [E, N] and [E, K], or none.
  const float *gate_bias = nullptr, *up_bias = nullptr, *down_bias = nullptr;
  Activation activation = Activation::silu;
  bool exact = false;               ///< as LinearArgs has it
  const float* residual = nullptr;  ///< [rows, K] or none
  float* out;                       ///< [rows, K]
};

/// What experts() works in, kept from call to call.
struct ExpertsScratch {
  Scratch rows;    ///< inputs in the experts' order, the hidden rows, their results
  Scratch linear;  ///< as linear() wants it
};

/// out[m] = residual[m] + the sum over a token's experts e, in their order, of weight * down_e(activation(gate_e x + bias) * (up_e x +
/// bias)). The rows of all tokens are sorted by expert, so that a step reads each chosen expert's matrices once; a
/// token's result has the same bits whatever the other tokens are.
void experts(Team& team, const Kernels& kernels, ExpertsScratch& scratch, const ExpertsArgs& args);

}  // namespace pippin::cpu
