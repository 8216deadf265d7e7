// Linear layers, with what may follow them at once.
#pragma once

#include <mlx/mlx.h>

#include <optional>
#include <vector>

#include "kernels/weight.h"

namespace pippin::kernels {

using cpu::Activation;

/// silu, gelu (with the error function), gelu_tanh ("gelu_pytorch_tanh"), relu_squared or the gate of clipped_swiglu, by
/// MLX's own operations.
mx::array activate(const mx::array& x, Activation activation);

/// activation(gate) * up, where clipped_swiglu changes `up`, too.
mx::array gate_times(const mx::array& gate, const mx::array& up, Activation activation);

/// cap * tanh(x / cap) of logits [R, V]; by the backend's kernels where there is one.
mx::array softcap(const mx::array& x, float cap, const CpuBackendPtr& backend);

/// N neighbouring columns of x [T, at least first + N].
struct Columns {
  mx::array x;
  int first = 0;
};

/// What happens to x W^T: + bias, activation, times a factor, + residual, in this order.
struct LinearEpilogue {
  std::optional<mx::array> bias = {};  ///< [N]
  Activation activation = Activation::none;
  std::optional<Columns> factor = {};
  std::optional<mx::array> residual = {};  ///< [T, N]
  /// Activations stay float32 whatever the backend's options say: for products whose outputs decide.
  bool exact = false;
};

/// x [T, K] -> [T, N], in x's dtype. Packed weights want float32.
mx::array linear(const mx::array& x, const Weight& w, const LinearEpilogue& epilogue = {});

/// Several matrices over one input: their outputs side by side, [T, N0 + N1 + ...].
mx::array joined_linear(const mx::array& x, const std::vector<Weight>& weights,
                        const std::optional<mx::array>& bias);

/// What a gated product is made of beside its matrices.
struct Gate {
  Activation activation = Activation::silu;
  std::optional<mx::array> bias = {};     ///< [N], before the activation
  std::optional<mx::array> up_bias = {};  ///< [N]; both biases or none
};

/// activation(x gate^T + bias) * (x up^T + up_bias) [T, N], for matrices of the same shape.
mx::array gated_linear(const mx::array& x, const Weight& gate, const Weight& up,
                       const Gate& options);

/// The same for matrices merged into one [2 N, K], gate first.
mx::array gated_linear(const mx::array& x, const Weight& gate_up, const Gate& options);

/// Rows of a table: ids int32 [T] -> [T, K]. A plain table gives its own dtype, a packed one float32,
/// a quantized one `dtype`.
mx::array embedding(const Weight& table, const mx::array& ids, mx::Dtype dtype);

}  // namespace pippin::kernels
