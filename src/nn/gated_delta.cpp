#include "nn/gated_delta.h"

#include <cmath>
#include <utility>
#include <vector>

namespace pippin::nn {
namespace {

// The references' l2norm adds it to the sum of squares.
constexpr float key_norm_eps = 1e-6f;

class GatedDeltaMixer final : public RecurrentMixer {
 public:
  GatedDeltaMixer(const GatedDeltaConfig& c, int hidden_size, Checkpoint& checkpoint,
                  const std::string& name)
      : config_(c),
        in_proj_(load_inputs(c, hidden_size, checkpoint, name)),
        out_proj_(
            Linear::load(checkpoint, name + ".out_proj", c.value_heads * c.value_dim, hidden_size)),
        conv_{load_conv_weight(checkpoint, name + ".conv1d", channels(c), c.taps)},
        dt_bias_(floats(checkpoint, name + ".dt_bias")),
        decay_(mx::negative(mx::exp(floats(checkpoint, name + ".A_log")))),
        norm_(RmsNorm::load(checkpoint, name + ".norm", c.value_dim, c.norm_eps)),
        query_scale_(
            mx::full({c.key_dim}, 1.0f / static_cast<float>(c.key_dim), checkpoint.dtype())),
        key_scale_(mx::full({c.key_dim}, 1.0f / std::sqrt(static_cast<float>(c.key_dim)),
                            checkpoint.dtype())),
        cpu_(checkpoint.cpu()) {
    conv_.silu = true;
    mx::eval(dt_bias_, decay_, query_scale_, key_scale_);
  }

  static int channels(const GatedDeltaConfig& c) {
    return 2 * c.key_heads * c.key_dim + c.value_heads * c.value_dim;
  }

  mx::array operator()(const mx::array& x, std::span<const kernels::StateRows> parts,
                       const LayerSlots& slots) const override {
    const auto all = in_proj_(x);  // [T, channels + z + b + a]
    const auto out =
        cpu_ ? by_cpu_kernels(all, parts, slots)
             : by_groups(all, parts, slots, 2,
                         [&](const mx::array& rows, auto& states) { return by_mlx(rows, states); });
    return gated(out, all);
  }

  const Linear& out_proj() const override { return out_proj_; }

 private:
  /// What the rule takes of rows [..., R].
  struct Inputs {
    mx::array q, k, v;      ///< [..., heads, dim]
    mx::array decay, beta;  ///< [..., Hv]
  };

  static JoinedLinear load_inputs(const GatedDeltaConfig& c, int hidden_size,
                                  Checkpoint& checkpoint, const std::string& name) {
    const auto part = [&](const char* which, int out) {
      return Linear::load(checkpoint, name + ".in_proj_" + which, hidden_size, out);
    };
    const int keys = c.key_heads * c.key_dim, values = c.value_heads * c.value_dim;
    std::vector<Linear> parts;
    if (checkpoint.has(name + ".in_proj_qkv.weight"))
      parts = {part("qkv", channels(c))};
    else
      parts = {part("q", keys), part("k", keys), part("v", values)};
    parts.push_back(part("z", values));
    parts.push_back(part("b", c.value_heads));
    parts.push_back(part("a", c.value_heads));
    return JoinedLinear(parts);
  }

  // A head's own numbers stay float32, as in the references.
  mx::array floats(Checkpoint& checkpoint, const std::string& name) const {
    return mx::astype(checkpoint.take_stored(name, {config_.value_heads}), mx::float32);
  }

  int z_begin() const { return channels(config_); }
  int b_begin() const { return z_begin() + config_.value_heads * config_.value_dim; }
  int a_begin() const { return b_begin() + config_.value_heads; }

  // RMS norms over heads: x / |x|, scaled.
  mx::array normed(const mx::array& x, const mx::array& scale) const {
    auto shape = x.shape();
    shape.back() = config_.key_heads;
    shape.push_back(config_.key_dim);
    const float eps = key_norm_eps / static_cast<float>(config_.key_dim);
    const auto rows = mx::reshape(x, {-1, config_.key_dim});
    return mx::reshape(kernels::rms_norm(rows, scale, eps, cpu_), shape);
  }

  // convolved [..., channels], the rest from `all` [..., K].
  Inputs inputs(const mx::array& convolved, const mx::array& all) const {
    const int keys = config_.key_heads * config_.key_dim;
    auto v = columns(convolved, 2 * keys, channels(config_));
    auto shape = v.shape();
    shape.back() = config_.value_heads;
    shape.push_back(config_.value_dim);
    const auto a =
        mx::astype(columns(all, a_begin(), a_begin() + config_.value_heads), mx::float32);
    const auto x = a + dt_bias_;
    const auto softplus = mx::logaddexp(x, mx::array(0.0f));
    return {normed(columns(convolved, 0, keys), query_scale_),
            normed(columns(convolved, keys, 2 * keys), key_scale_), mx::reshape(v, shape),
            mx::exp(decay_ * softplus), mx::sigmoid(columns(all, b_begin(), a_begin()))};
  }

  mx::array by_cpu_kernels(const mx::array& all, std::span<const kernels::StateRows> parts,
                           const LayerSlots& slots) const {
    const auto convolved = kernels::short_conv(all, conv_, parts, slots.pool(0), *cpu_);
    const auto in = inputs(convolved, all);
    return kernels::gated_delta({in.q, in.k, in.v, in.decay, in.beta}, parts, slots.pool(1), *cpu_);
  }

  mx::array by_mlx(const mx::array& all, std::vector<mx::array>& states) const {
    auto [convolved, past] = kernels::short_conv_rows(columns(all, 0, z_begin()), states[0], conv_);
    const auto in = inputs(convolved, all);
    auto results = mx::fast::gated_delta_update(in.q, in.k, in.v, in.decay,
                                                mx::astype(in.beta, mx::float32), states[1]);
    states = {std::move(past), results[1]};
    return results[0];
  }

  // norm(out) * silu(z), [T, Hv * Dv].
  mx::array gated(const mx::array& out, const mx::array& all) const {
    if (cpu_)
      return kernels::gated_norm(
          out, all, z_begin(),
          {config_.value_heads, config_.value_dim, norm_.weight(), false, norm_.eps()}, cpu_);
    const auto z = columns(all, z_begin(), b_begin());
    const auto rows = mx::reshape(out, {-1, config_.value_dim});
    const auto y =
        mx::astype(mx::reshape(norm_(mx::astype(rows, z.dtype())), z.shape()), mx::float32);
    const auto gate = mx::astype(z, mx::float32);
    return mx::astype(y * (gate * mx::sigmoid(gate)), z.dtype());
  }

  GatedDeltaConfig config_;
  JoinedLinear in_proj_;
  Linear out_proj_;
  kernels::ShortConv conv_;
  mx::array dt_bias_, decay_;  ///< float32 [Hv]; decay_: -exp(A_log)
  RmsNorm norm_;
  mx::array query_scale_, key_scale_;  ///< [Dk]
  kernels::CpuBackendPtr cpu_;
};

}  // namespace

RecurrentState gated_delta_state(const GatedDeltaConfig& c, mx::Dtype dtype, bool for_cpu_kernels) {
  const mx::Shape matrices = for_cpu_kernels ? mx::Shape{c.value_heads, c.key_dim, c.value_dim}
                                             : mx::Shape{c.value_heads, c.value_dim, c.key_dim};
  return {{{"conv", {c.taps - 1, GatedDeltaMixer::channels(c)}, dtype},
           {"delta", matrices, mx::float32}}};
}

std::unique_ptr<RecurrentMixer> load_gated_delta(const GatedDeltaConfig& config, int hidden_size,
                                                 Checkpoint& checkpoint, const std::string& name) {
  return std::make_unique<GatedDeltaMixer>(config, hidden_size, checkpoint, name);
}

}  // namespace pippin::nn
