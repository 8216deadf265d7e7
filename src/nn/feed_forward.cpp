#include "nn/feed_forward.h"

#include <utility>

namespace pippin::nn {
namespace {

std::variant<GatedLinear, ActivatedLinear> load_up(const MlpConfig& c, Checkpoint& checkpoint,
                                                   const std::string& name) {
  const auto part = [&](const char* which) {
    return Linear::load(checkpoint, name + which, c.hidden_size, c.width, c.bias);
  };
  if (!c.gated) return ActivatedLinear{part(".up_proj"), c.activation};
  const auto gate = part(".gate_proj");
  return GatedLinear{gate, part(".up_proj"), c.activation};
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

// A correction is some thousandths: it stays as exact as it is.
std::optional<mx::array> load_correction(const MoeConfig& c, Checkpoint& checkpoint,
                                         const std::string& name) {
  if (!c.correction) return {};
  auto correction = mx::astype(checkpoint.take_stored(name, {c.router.num_experts}), mx::float32);
  correction.eval();
  return correction;
}

}  // namespace

Mlp::Mlp(const MlpConfig& c, Checkpoint& checkpoint, const std::string& name)
    : up_(load_up(c, checkpoint, name)),
      down_proj_(Linear::load(checkpoint, name + ".down_proj", c.width, c.hidden_size, c.bias)) {}

Moe::Moe(const MoeConfig& c, const MlpConfig& mlp, Checkpoint& checkpoint, const std::string& name)
    : options_(c.router),
      router_(Linear::load_plain(checkpoint, name + ".router", mlp.hidden_size,
                                 c.router.num_experts, c.router_bias)),
      correction_(load_correction(c, checkpoint, name + ".router.correction")),
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
mx::array Moe::sum(const std::optional<mx::array>& residual, const mx::array& x) const {
  auto base = residual;
  if (shared_ && shared_->gate)
    base = kernels::add_gated(residual, shared_->mlp(x), shared_->gate->exact(x), cpu_);
  else if (shared_)
    base = residual ? shared_->mlp.add_to(*residual, x) : shared_->mlp(x);
  const auto choice = kernels::route(router_.exact(x), options_, correction_, cpu_);
  if (!latent_) return kernels::experts(x, choice, experts_, base);
  const auto y = kernels::experts(latent_->in(x), choice, experts_);
  return base ? latent_->out.add_to(*base, y) : latent_->out(y);
}

}  // namespace pippin::nn
