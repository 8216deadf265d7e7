// The building blocks of models: linear layers (plain or quantized), embeddings, norms.
#pragma once

#include <mlx/mlx.h>

#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "kernels/linear.h"
#include "kernels/norm.h"
#include "nn/checkpoint.h"

namespace pippin::nn {

using kernels::Activation;

/// y = x W^T + b for x [T, in] -> [T, out]. W is plain [out, in], quantized, or packed for the CPU.
class Linear {
 public:
  /// Takes `<name>.weight` (and .scales, .biases where quantized, .bias where `bias`). Throws Error
  /// naming a tensor that is missing or has another shape than the config's.
  static Linear load(Checkpoint& checkpoint, const std::string& name, int in, int out,
                     bool bias = false);

  /// The same, where a quantized weight is expanded: for small matrices whose outputs decide (routers).
  static Linear load_plain(Checkpoint& checkpoint, const std::string& name, int in, int out,
                           bool bias = false);

  Linear(kernels::Weight weight, std::optional<mx::array> bias)
      : weight_(std::move(weight)), bias_(std::move(bias)) {}

  /// The activation follows the bias.
  mx::array operator()(const mx::array& x, Activation activation = Activation::none) const {
    return kernels::linear(x, weight_, {bias_, activation});
  }
  /// y with float32 activations, whatever the backend's options say.
  mx::array exact(const mx::array& x) const {
    return kernels::linear(x, weight_, {.bias = bias_, .exact = true});
  }
  /// activation(y) * factor.
  mx::array times(const mx::array& x, Activation activation, const kernels::Columns& factor) const {
    return kernels::linear(x, weight_, {.bias = bias_, .activation = activation, .factor = factor});
  }
  /// residual + y, as the end of a residual branch.
  mx::array add_to(const mx::array& residual, const mx::array& x) const {
    return kernels::linear(x, weight_, {.bias = bias_, .residual = residual});
  }

  const kernels::Weight& weight() const { return weight_; }
  const std::optional<mx::array>& bias() const { return bias_; }

 private:
  kernels::Weight weight_;
  std::optional<mx::array> bias_;  ///< [out]
};

/// The matrix [out, in] as plain numbers: as it is stored, or what a quantized one stands for.
mx::array load_expanded(Checkpoint& checkpoint, const std::string& name, int in, int out);

/// The matrices of experts [E, out, in]: `<name>.<which>.weight` (and .scales, .biases), or, where that is missing, a
/// matrix of each expert, `<name>.<expert>.<which>.weight`. Packed for the CPU where the checkpoint says so.
kernels::Bank load_bank(Checkpoint& checkpoint, const std::string& name, const std::string& which,
                        int num_experts, int in, int out);

/// Several linear layers over one input, run as one where they can be (fewer operations a token).
class JoinedLinear {
 public:
  explicit JoinedLinear(const std::vector<Linear>& parts);
  /// The parts' outputs side by side, [T, out_0 + out_1 + ...].
  mx::array operator()(const mx::array& x) const {
    return kernels::joined_linear(x, weights_, bias_);
  }

 private:
  std::vector<kernels::Weight> weights_;  ///< one where merged, else the parts'
  std::optional<mx::array> bias_;
};

/// activation(gate(x)) * up(x): [T, in] -> [T, out].
class GatedLinear {
 public:
  GatedLinear(const Linear& gate, const Linear& up, Activation activation = Activation::silu);
  mx::array operator()(const mx::array& x) const;

 private:
  std::vector<kernels::Weight> weights_;  ///< gate and up, merged into one where that helps
  kernels::Gate options_;
};

/// A table [V, D] of token vectors, plain, quantized or packed; also the output layer where
/// embeddings are tied.
class Embedding {
 public:
  static Embedding load(Checkpoint& checkpoint, const std::string& name, int num_rows, int dim);
  /// ids int32 [T] -> [T, D].
  mx::array operator()(const mx::array& ids) const {
    return kernels::embedding(weight_, ids, dtype_);
  }
  Linear as_linear() const { return {weight_, std::nullopt}; }

 private:
  Embedding(kernels::Weight weight, mx::Dtype dtype) : weight_(std::move(weight)), dtype_(dtype) {}
  kernels::Weight weight_;
  mx::Dtype dtype_;
};

/// x / rms(x) * weight over the last axis, where `adds_one` (Gemma) times 1 + the stored weight.
class RmsNorm {
 public:
  /// factor: of the weights.
  static RmsNorm load(Checkpoint& checkpoint, const std::string& name, int dim, float eps,
                      bool adds_one = false, float factor = 1);
  /// The norm without weights.
  static RmsNorm plain(const Checkpoint& checkpoint, int dim, float eps);
  mx::array operator()(const mx::array& x, const kernels::NormEpilogue& epilogue = {}) const {
    return kernels::rms_norm(x, weight_, eps_, cpu_, epilogue);
  }
  const mx::array& weight() const { return weight_; }
  float eps() const { return eps_; }

 private:
  RmsNorm(mx::array weight, float eps, kernels::CpuBackendPtr cpu)
      : weight_(std::move(weight)), eps_(eps), cpu_(std::move(cpu)) {}
  mx::array weight_;  ///< [dim]
  float eps_;
  kernels::CpuBackendPtr cpu_;
};

/// (x - mean) / std * weight + bias over the last axis.
class LayerNorm {
 public:
  static LayerNorm load(Checkpoint& checkpoint, const std::string& name, int dim, float eps,
                        bool bias = true);
  mx::array operator()(const mx::array& x, const kernels::NormEpilogue& epilogue = {}) const {
    return kernels::layer_norm(x, weight_, bias_, eps_, cpu_, epilogue);
  }

 private:
  LayerNorm(mx::array weight, mx::array bias, float eps, kernels::CpuBackendPtr cpu)
      : weight_(std::move(weight)), bias_(std::move(bias)), eps_(eps), cpu_(std::move(cpu)) {}
  mx::array weight_, bias_;  ///< [dim]
  float eps_;
  kernels::CpuBackendPtr cpu_;
};

/// Either of them.
class Norm {
 public:
  Norm(RmsNorm norm) : content_(std::move(norm)) {}
  Norm(LayerNorm norm) : content_(std::move(norm)) {}
  mx::array operator()(const mx::array& x, const kernels::NormEpilogue& epilogue = {}) const {
    return std::visit([&](const auto& norm) { return norm(x, epilogue); }, content_);
  }

 private:
  std::variant<RmsNorm, LayerNorm> content_;
};

}  // namespace pippin::nn
