#include "nn/feed_forward.h"

#include <utility>

namespace pippin::nn {
namespace {

GatedLinear load_gate_up(const MlpConfig& c, Checkpoint& checkpoint, const std::string& name) {
  const auto part = [&](const char* which) {
    return Linear::load(checkpoint, name + which, c.hidden_size, c.width, c.bias);
  };
  const auto gate = part(".gate_proj");
  return {gate, part(".up_proj"), c.activation};
}

kernels::ExpertWeights load_experts(const MoeConfig& c, const MlpConfig& mlp,
                                    Checkpoint& checkpoint, const std::string& name) {
  const int num_experts = c.router.num_experts;
  const auto bank = [&](const char* which, int in, int out) {
    return load_bank(checkpoint, name, which, num_experts, in, out);
  };
  auto gate = bank("gate_proj", mlp.hidden_size, c.width),
       up = bank("up_proj", mlp.hidden_size, c.width),
       down = bank("down_proj", c.width, mlp.hidden_size);
  kernels::ExpertWeights weights{std::move(gate), std::move(up), std::move(down), mlp.activation};
  if (!c.bias) return weights;
  weights.gate_bias = checkpoint.take(name + ".gate_proj.bias", {num_experts, c.width});
  weights.up_bias = checkpoint.take(name + ".up_proj.bias", {num_experts, c.width});
  weights.down_bias = checkpoint.take(name + ".down_proj.bias", {num_experts, mlp.hidden_size});
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
    : gate_up_proj_(load_gate_up(c, checkpoint, name)),
      down_proj_(Linear::load(checkpoint, name + ".down_proj", c.width, c.hidden_size, c.bias)) {}

Moe::Moe(const MoeConfig& c, const MlpConfig& mlp, Checkpoint& checkpoint, const std::string& name)
    : options_(c.router),
      router_(Linear::load_plain(checkpoint, name + ".router", mlp.hidden_size,
                                 c.router.num_experts, c.router_bias)),
      correction_(load_correction(c, checkpoint, name + ".router.correction")),
      experts_(load_experts(c, mlp, checkpoint, name + ".experts")),
      cpu_(checkpoint.cpu()) {
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
  return kernels::experts(x, choice, experts_, base);
}

}  // namespace pippin::nn
