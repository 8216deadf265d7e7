// The building blocks of models: linear layers (plain or quantized), embeddings, norms,
// activations.
#pragma once

#include <mlx/mlx.h>

#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "kernels/ops.h"
#include "nn/checkpoint.h"

namespace pippin::nn {

/// y = x W^T + b for x [T, in] -> [T, out]. W is plain [out, in] or quantized.
class Linear {
 public:
  /// Takes `<name>.weight` (and .scales, .biases where quantized, .bias where `bias`). Throws Error
  /// naming a tensor that is missing or has another shape than the config's.
  static Linear load(Checkpoint& checkpoint, const std::string& name, int in, int out,
                     bool bias = false);

  /// One layer with the outputs of all `parts` side by side, where they are of one kind
  /// (quantization, bias); else nullopt.
  static std::optional<Linear> concatenate(const std::vector<Linear>& parts);

  Linear(mx::array weight, std::optional<mx::array> bias)
      : weight_(std::move(weight)), bias_(std::move(bias)) {}
  Linear(kernels::QuantizedWeight weight, std::optional<mx::array> bias)
      : weight_(std::move(weight)), bias_(std::move(bias)) {}

  mx::array operator()(const mx::array& x) const;
  int out() const;

 private:
  std::variant<mx::array, kernels::QuantizedWeight> weight_;
  std::optional<mx::array> bias_;  ///< [out]
};

/// Several linear layers over one input, run as one where they can be merged (fewer operations a
/// token).
class FusedLinear {
 public:
  explicit FusedLinear(std::vector<Linear> parts);
  /// One output [T, out_i] a part.
  std::vector<mx::array> operator()(const mx::array& x) const;

 private:
  std::vector<Linear> layers_;  ///< one where merged, else the parts
  std::vector<int> splits_;     ///< where the merged output is cut; empty where not merged
};

/// A table [V, D] of token vectors, plain or quantized; also the output layer where embeddings are
/// tied.
class Embedding {
 public:
  static Embedding load(Checkpoint& checkpoint, const std::string& name, int num_rows, int dim);
  /// ids int32 [T] -> [T, D].
  mx::array operator()(const mx::array& ids) const;
  Linear as_linear() const;

 private:
  Embedding(std::variant<mx::array, kernels::QuantizedWeight> weight, mx::Dtype dtype)
      : weight_(std::move(weight)), dtype_(dtype) {}
  std::variant<mx::array, kernels::QuantizedWeight> weight_;
  mx::Dtype dtype_;
};

/// x / rms(x) * weight over the last axis.
class RmsNorm {
 public:
  static RmsNorm load(Checkpoint& checkpoint, const std::string& name, int dim, float eps);
  mx::array operator()(const mx::array& x) const { return mx::fast::rms_norm(x, weight_, eps_); }

 private:
  RmsNorm(mx::array weight, float eps) : weight_(std::move(weight)), eps_(eps) {}
  mx::array weight_;  ///< [dim]
  float eps_;
};

/// (x - mean) / std * weight + bias over the last axis.
class LayerNorm {
 public:
  static LayerNorm load(Checkpoint& checkpoint, const std::string& name, int dim, float eps);
  mx::array operator()(const mx::array& x) const {
    return mx::fast::layer_norm(x, weight_, bias_, eps_);
  }

 private:
  LayerNorm(mx::array weight, mx::array bias, float eps)
      : weight_(std::move(weight)), bias_(std::move(bias)), eps_(eps) {}
  mx::array weight_, bias_;  ///< [dim]
  float eps_;
};

/// silu(gate) * up.
mx::array swiglu(const mx::array& gate, const mx::array& up);
/// x * Phi(x), with the error function.
mx::array gelu(const mx::array& x);
/// The same through tanh ("gelu_pytorch_tanh").
mx::array gelu_tanh(const mx::array& x);

}  // namespace pippin::nn
