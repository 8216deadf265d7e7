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
};

/// activation(x W^T + b), where there is no gate.
struct ActivatedLinear {
  Linear linear;
  Activation activation;

  mx::array operator()(const mx::array& x) const { return linear(x, activation); }
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

  std::variant<GatedLinear, ActivatedLinear> up_;
  Linear down_proj_;
};

/// Tensors: NAME.router [E, D]; NAME.experts.{gate,up,down}_proj as banks [E, out, in], or an expert each as
/// NAME.experts.0.gate_proj ...; NAME.shared_expert.{gate,up,down}_proj, NAME.shared_gate [1, D]; NAME.latent_in [L, D],
/// NAME.latent_out [D, L].
class Moe {
 public:
  Moe(const MoeConfig& config, const MlpConfig& mlp, Checkpoint& checkpoint,
      const std::string& name);

  mx::array operator()(const mx::array& x) const { return sum(std::nullopt, x); }
  mx::array add_to(const mx::array& residual, const mx::array& x) const { return sum(residual, x); }

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

  mx::array sum(const std::optional<mx::array>& residual, const mx::array& x) const;

  kernels::RouterOptions options_;
  Linear router_;
  std::optional<mx::array> correction_;  ///< float32 [E]
  kernels::ExpertWeights experts_;
  std::optional<Shared> shared_;
  std::optional<Latent> latent_;
  kernels::CpuBackendPtr cpu_;
};

/// Either of them.
class FeedForward {
 public:
  FeedForward(const MlpConfig& mlp, const MoeConfig* moe, Checkpoint& checkpoint,
              const std::string& name)
      : content_(moe ? Content(std::in_place_type<Moe>, *moe, mlp, checkpoint, name)
                     : Content(std::in_place_type<Mlp>, mlp, checkpoint, name)) {}

  /// x [T, D] -> [T, D].
  mx::array operator()(const mx::array& x) const {
    return std::visit([&](const auto& content) { return content(x); }, content_);
  }
  /// residual + the same.
  mx::array add_to(const mx::array& residual, const mx::array& x) const {
    return std::visit([&](const auto& content) { return content.add_to(residual, x); }, content_);
  }

 private:
  using Content = std::variant<Mlp, Moe>;
  Content content_;
};

}  // namespace pippin::nn
