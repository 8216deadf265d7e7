// What a block does beside attention: a gated MLP, or a mixture of experts. D = hidden size, N = width, E = experts.
#pragma once

#include <optional>
#include <string>
#include <variant>

#include "kernels/experts.h"
#include "nn/layers.h"

namespace pippin::nn {

struct MlpConfig {
  int hidden_size = 0;                       ///< D
  int width = 0;                             ///< N
  Activation activation = Activation::silu;  ///< of the gate
  bool bias = false;                         ///< of all three
  bool gated = true;  ///< else down(activation(up x)), also of the experts, which have no gate then
  /// The share of a row's gates that would be dropped if they were normally distributed (Gemma 3n): the activation's input is what a gate
  /// has above their mean plus the quantile of their deviation, or zero. 0: the gate itself.
  float sparsity = 0;
};

/// A mixture of experts. The experts have the MLP's activation.
struct MoeConfig {
  kernels::RouterOptions router;
  bool router_bias = false;  ///< of the logits
  bool correction = false;   ///< router.correction [E] joins the scores by which experts are chosen
  int width = 0;             ///< N of an expert
  bool bias = false;         ///< of an expert's products
  int shared_width = 0;      ///< of an MLP that every token passes beside its experts; 0: none
  bool shared_gate = false;  ///< its output is multiplied by sigmoid(shared_gate x)
  /// The experts work on latent_in x [L] instead of x, and latent_out turns their sum into [D]; 0: they don't.
  int latent_width = 0;
  bool expert_scales = false;  ///< router.expert_scales [E] multiply the weights
  /// The block's MLP stands beside the experts (MlpBesideMoe).
  bool beside_mlp = false;
};

/// The norms of what stands in a block beside others.
struct BranchNorms {
  float eps = 1e-6f;
  bool adds_one = false;
};

/// activation(x W^T + b), where there is no gate.
struct ActivatedLinear {
  Linear linear;
  Activation activation;

  mx::array operator()(const mx::array& x) const { return linear(x, activation); }
};

/// activation(max(0, gate x - cutoff)) * up x, for MlpConfig::sparsity. By MLX's operations but for the products.
struct SparseGatedLinear {
  Linear gate, up;
  Activation activation;
  float quantile;  ///< cutoff = mean + quantile * deviation of the row

  mx::array operator()(const mx::array& x) const;
};

/// Tensors: NAME.{gate,up,down}_proj.
class Mlp {
 public:
  Mlp(const MlpConfig& config, Checkpoint& checkpoint, const std::string& name);

  mx::array operator()(const mx::array& x) const { return down_proj_(hidden(x)); }
  mx::array add_to(const mx::array& residual, const mx::array& x) const {
    return down_proj_.add_to(residual, hidden(x));
  }

 private:
  mx::array hidden(const mx::array& x) const {
    return std::visit([&](const auto& up) { return up(x); }, up_);
  }

  std::variant<GatedLinear, ActivatedLinear, SparseGatedLinear> up_;
  Linear down_proj_;
};

/// Tensors: NAME.router [E, D]; NAME.experts.{gate,up,down}_proj as banks [E, out, in], or an expert each as
/// NAME.experts.0.gate_proj ...; NAME.shared_expert.{gate,up,down}_proj, NAME.shared_gate [1, D]; NAME.latent_in [L, D],
/// NAME.latent_out [D, L].
class Moe {
 public:
  Moe(const MoeConfig& config, const MlpConfig& mlp, Checkpoint& checkpoint,
      const std::string& name);

  mx::array operator()(const mx::array& x) const { return sum(std::nullopt, x, x); }
  /// The same where the router reads something else.
  mx::array operator()(const mx::array& x, const mx::array& routed_by) const {
    return sum(std::nullopt, x, routed_by);
  }
  mx::array add_to(const mx::array& residual, const mx::array& x) const {
    return sum(residual, x, x);
  }

 private:
  /// The projections of the shared MLP's gate.
  struct Shared {
    Mlp mlp;
    std::optional<Linear> gate;
  };

  /// The projections around experts of latent_width.
  struct Latent {
    Linear in, out;
  };

  mx::array sum(const std::optional<mx::array>& residual, const mx::array& x,
                const mx::array& routed_by) const;

  kernels::RouterOptions options_;
  Linear router_;
  std::optional<mx::array> correction_, expert_scales_;  ///< float32 [E]
  kernels::ExpertWeights experts_;
  std::optional<Shared> shared_;
  std::optional<Latent> latent_;
  kernels::CpuBackendPtr cpu_;
};

/// An MLP and experts over one input: output_norm(mlp(input_norm x)) + experts_output_norm(experts(experts_input_norm x)), where the
/// router reads router_norm(x) / sqrt(D). Tensors: those of both, and NAME.{input,output,experts_input,experts_output,router}_norm.
class MlpBesideMoe {
 public:
  MlpBesideMoe(const MoeConfig& moe, const MlpConfig& mlp, const BranchNorms& norms,
               Checkpoint& checkpoint, const std::string& name);

  mx::array operator()(const mx::array& x) const;
  mx::array add_to(const mx::array& residual, const mx::array& x) const {
    return residual + (*this)(x);
  }

 private:
  Mlp mlp_;
  Moe moe_;
  RmsNorm input_norm_, output_norm_, experts_input_norm_, experts_output_norm_, router_norm_;
};

/// One of them.
class FeedForward {
 public:
  /// norms: of what stands side by side.
  FeedForward(const MlpConfig& mlp, const MoeConfig* moe, const BranchNorms& norms,
              Checkpoint& checkpoint, const std::string& name);

  /// x [T, D] -> [T, D].
  mx::array operator()(const mx::array& x) const {
    return std::visit([&](const auto& content) { return content(x); }, content_);
  }
  /// residual + the same.
  mx::array add_to(const mx::array& residual, const mx::array& x) const {
    return std::visit([&](const auto& content) { return content.add_to(residual, x); }, content_);
  }

 private:
  using Content = std::variant<Mlp, Moe, MlpBesideMoe>;
  Content content_;
};

}  // namespace pippin::nn
