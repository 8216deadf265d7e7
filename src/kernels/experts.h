// A mixture of experts: the router's choice, and the gated products of the experts it chose.
#pragma once

#include <mlx/mlx.h>

#include <optional>

#include "kernels/cpu/router.h"
#include "kernels/linear.h"
#include "kernels/weight.h"

namespace pippin::kernels {

using cpu::RouterOptions;
using cpu::RouterScores;

/// The experts of each row, and their outputs' weights in the sum.
struct Choice {
  mx::array experts;  ///< int32 [T, k]
  mx::array weights;  ///< float32 [T, k]
};

/// logits [T, E] -> the choice that cpu/router.h describes; correction and expert_scales float32 [E]. By the backend's kernels where there
/// is one, else by MLX's operations, in no order of the experts.
Choice route(const mx::array& logits, const RouterOptions& options,
             const std::optional<mx::array>& correction, const CpuBackendPtr& backend,
             const std::optional<mx::array>& expert_scales = {});

/// The gated products of E experts: down(activation(gate x + bias) * (up x + bias)) + bias. Without `up` that factor is left out.
struct ExpertWeights {
  Bank gate;               ///< [E, N, K]
  std::optional<Bank> up;  ///< [E, N, K]
  Bank down;               ///< [E, K, N]
  Activation activation = Activation::silu;
  std::optional<mx::array> gate_bias = {}, up_bias = {};  ///< [E, N]; both or none
  std::optional<mx::array> down_bias = {};                ///< [E, K]
};

/// x [T, K] -> residual [T, K] + the weighted sum of the chosen experts' outputs [T, K], in x's dtype. Packed banks want
/// float32.
mx::array experts(const mx::array& x, const Choice& choice, const ExpertWeights& weights,
                  const std::optional<mx::array>& residual = {});

/// residual + sigmoid(gate) * y, for y [T, K] and gate [T, 1].
mx::array add_gated(const std::optional<mx::array>& residual, const mx::array& y,
                    const mx::array& gate, const CpuBackendPtr& backend);

}  // namespace pippin::kernels
