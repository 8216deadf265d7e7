#include "nn/feed_forward.h"

#include <cmath>
#include <numbers>
#include <utility>

namespace pippin::nn {
namespace {

// Of the standard normal distribution.
float quantile(float share) {
  return std::numbers::sqrt2_v<float> * mx::erfinv(mx::array(2 * share - 1)).item<float>();
}

std::variant<GatedLinear, ActivatedLinear, SparseGatedLinear> load_up(const MlpConfig& c,
                                                                      Checkpoint& checkpoint,
                                                                      const std::string& name) {
  const auto part = [&](const char* which) {
    return Linear::load(checkpoint, name + which, c.hidden_size, c.width, c.bias);
  };
  if (!c.gated) return ActivatedLinear{part(".up_proj"), c.activation};
  const auto gate = part(".gate_proj"), up = part(".up_proj");
  if (c.sparsity > 0) return SparseGatedLinear{gate, up, c.activation, quantile(c.sparsity)};
  return GatedLinear{gate, up, c.activation};
}

kernels::ExpertWeights load_experts(const MoeConfig& c, const MlpConfig& mlp,
                                    Checkpoint& checkpoint, const std::string& name) {
  const int num_experts = c.router.num_experts;
  const auto bank = [&](const char* which, int in, int out) {
    return load_bank(checkpoint, name, which, num_experts, in, out);
  };
  const int size = c.latent_width > 0 ? c.latent_width : mlp.hidden_size;
  const char* first = mlp.gated ? "gate_proj" : "up_proj";
  kernels::ExpertWeights weights{
      bank(first, size, c.width), {}, bank("down_proj", c.width, size), mlp.activation};
  if (mlp.gated) weights.up = bank("up_proj", size, c.width);
  if (!c.bias) return weights;
  const auto bias = [&](const char* which, int width) {
    return checkpoint.take(name + "." + which + ".bias", {num_experts, width});
  };
  weights.gate_bias = bias(first, c.width);
  if (mlp.gated) weights.up_bias = bias("up_proj", c.width);
  weights.down_bias = bias("down_proj", size);
  return weights;
}

// A number an expert, as exact as it is: a correction is some thousandths.
std::optional<mx::array> load_by_expert(bool there, const MoeConfig& c, Checkpoint& checkpoint,
                                        const std::string& name) {
  if (!there) return {};
  auto numbers = mx::astype(checkpoint.take_stored(name, {c.router.num_experts}), mx::float32);
  numbers.eval();
  return numbers;
}

}  // namespace

mx::array SparseGatedLinear::operator()(const mx::array& x) const {
  const auto gates = gate(x);
  const auto cutoff =
      mx::mean(gates, -1, true) + mx::std(gates, -1, true) * mx::array(quantile, gates.dtype());
  const auto above = mx::maximum(gates - cutoff, mx::array(0, gates.dtype()));
  return kernels::gate_times(above, up(x), activation);
}

Mlp::Mlp(const MlpConfig& c, Checkpoint& checkpoint, const std::string& name)
    : up_(load_up(c, checkpoint, name)),
      down_proj_(Linear::load(checkpoint, name + ".down_proj", c.width, c.hidden_size, c.bias)) {}

Moe::Moe(const MoeConfig& c, const MlpConfig& mlp, Checkpoint& checkpoint, const std::string& name)
    : options_(c.router),
      router_(Linear::load_plain(checkpoint, name + ".router", mlp.hidden_size,
                                 c.router.num_experts, c.router_bias)),
      correction_(load_by_expert(c.correction, c, checkpoint, name + ".router.correction")),
      expert_scales_(
          load_by_expert(c.expert_scales, c, checkpoint, name + ".router.expert_scales")),
      experts_(load_experts(c, mlp, checkpoint, name + ".experts")),
      cpu_(checkpoint.cpu()) {
  const auto project = [&](const char* which, int in, int out) {
    return Linear::load(checkpoint, name + which, in, out);
  };
  if (c.latent_width > 0)
    latent_ = Latent{project(".latent_in", mlp.hidden_size, c.latent_width),
                     project(".latent_out", c.latent_width, mlp.hidden_size)};
  if (c.shared_width == 0) return;
  auto shared = mlp;
  shared.width = c.shared_width;
  shared_ = Shared{Mlp(shared, checkpoint, name + ".shared_expert"), {}};
  if (c.shared_gate)
    shared_->gate = Linear::load_plain(checkpoint, name + ".shared_gate", mlp.hidden_size, 1);
}

// residual + the shared MLP + the chosen experts.
mx::array Moe::sum(const std::optional<mx::array>& residual, const mx::array& x,
                   const mx::array& routed_by) const {
  auto base = residual;
  if (shared_ && shared_->gate)
    base = kernels::add_gated(residual, shared_->mlp(x), shared_->gate->exact(x), cpu_);
  else if (shared_)
    base = residual ? shared_->mlp.add_to(*residual, x) : shared_->mlp(x);
  const auto choice =
      kernels::route(router_.exact(routed_by), options_, correction_, cpu_, expert_scales_);
  if (!latent_) return kernels::experts(x, choice, experts_, base);
  const auto y = kernels::experts(latent_->in(x), choice, experts_);
  return base ? latent_->out.add_to(*base, y) : latent_->out(y);
}

namespace {

RmsNorm branch_norm(const BranchNorms& norms, const MlpConfig& mlp, Checkpoint& checkpoint,
                    const std::string& name, float factor = 1) {
  return RmsNorm::load(checkpoint, name, mlp.hidden_size, norms.eps, norms.adds_one, factor);
}

}  // namespace

MlpBesideMoe::MlpBesideMoe(const MoeConfig& moe, const MlpConfig& mlp, const BranchNorms& norms,
                           Checkpoint& checkpoint, const std::string& name)
    : mlp_(mlp, checkpoint, name),
      moe_(moe, mlp, checkpoint, name),
      input_norm_(branch_norm(norms, mlp, checkpoint, name + ".input_norm")),
      output_norm_(branch_norm(norms, mlp, checkpoint, name + ".output_norm")),
      experts_input_norm_(branch_norm(norms, mlp, checkpoint, name + ".experts_input_norm")),
      experts_output_norm_(branch_norm(norms, mlp, checkpoint, name + ".experts_output_norm")),
      router_norm_(branch_norm(norms, mlp, checkpoint, name + ".router_norm",
                               1 / std::sqrt(static_cast<float>(mlp.hidden_size)))) {}

mx::array MlpBesideMoe::operator()(const mx::array& x) const {
  const auto dense = output_norm_(mlp_(input_norm_(x)));
  return experts_output_norm_(moe_(experts_input_norm_(x), router_norm_(x)), {dense});
}

FeedForward::FeedForward(const MlpConfig& mlp, const MoeConfig* moe, const BranchNorms& norms,
                         Checkpoint& checkpoint, const std::string& name)
    : content_(moe && moe->beside_mlp
                   ? Content(std::in_place_type<MlpBesideMoe>, *moe, mlp, norms, checkpoint, name)
               : moe ? Content(std::in_place_type<Moe>, *moe, mlp, checkpoint, name)
                     : Content(std::in_place_type<Mlp>, mlp, checkpoint, name)) {}

}  // namespace pippin::nn
