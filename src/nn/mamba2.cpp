#include "nn/mamba2.h"

#include <utility>
#include <vector>

namespace pippin::nn {
namespace {

// The row of in_proj's outputs: [gate, convolved, steps].
struct Columns {
  explicit Columns(const Mamba2Config& c)
      : inner(c.heads * c.head_dim), convolved(inner + 2 * c.groups * c.state_dim) {}
  int inner, convolved;
  int steps() const { return inner + convolved; }  ///< where they begin
};

// A head's own numbers stay float32, as in the references.
mx::array floats(Checkpoint& checkpoint, const std::string& name, int heads) {
  return mx::astype(checkpoint.take_stored(name, {heads}), mx::float32);
}

kernels::StateScan load_scan(const Mamba2Config& c, Checkpoint& checkpoint,
                             const std::string& name) {
  kernels::StateScan scan{c.heads,
                          c.groups,
                          c.head_dim,
                          c.state_dim,
                          floats(checkpoint, name + ".dt_bias", c.heads),
                          mx::exp(floats(checkpoint, name + ".A_log", c.heads)),
                          floats(checkpoint, name + ".D", c.heads),
                          c.min_step,
                          c.max_step};
  mx::eval(scan.step_bias, scan.rate, scan.skip);
  return scan;
}

kernels::ShortConv load_conv(const Mamba2Config& c, Checkpoint& checkpoint,
                             const std::string& name) {
  const int width = Columns(c).convolved;
  kernels::ShortConv conv{load_conv_weight(checkpoint, name, width, c.taps)};
  if (c.conv_bias) conv.bias = checkpoint.take(name + ".bias", {width});
  conv.silu = true;
  return conv;
}

class Mamba2Mixer final : public RecurrentMixer {
 public:
  Mamba2Mixer(const Mamba2Config& c, int hidden_size, Checkpoint& checkpoint,
              const std::string& name)
      : columns_(c),
        in_proj_(Linear::load(checkpoint, name + ".in_proj", hidden_size,
                              columns_.steps() + c.heads, c.proj_bias)),
        out_proj_(Linear::load(checkpoint, name + ".out_proj", columns_.inner, hidden_size,
                               c.out_bias.value_or(c.proj_bias))),
        conv_(load_conv(c, checkpoint, name + ".conv1d")),
        scan_(load_scan(c, checkpoint, name)),
        norm_{c.norm_groups, columns_.inner / c.norm_groups, {}, c.gate_first, c.norm_eps},
        cpu_(checkpoint.cpu()) {
    if (c.normed) norm_.weight = checkpoint.take(name + ".norm.weight", {columns_.inner});
  }

  mx::array operator()(const mx::array& x, std::span<const kernels::StateRows> parts,
                       const LayerSlots& slots) const override {
    const auto all = in_proj_(x);
    return kernels::gated_norm(scanned(all, parts, slots), all, 0, norm_, cpu_);
  }

  const Linear& out_proj() const override { return out_proj_; }

 private:
  mx::array scanned(const mx::array& all, std::span<const kernels::StateRows> parts,
                    const LayerSlots& slots) const {
    if (cpu_) {
      const auto rows =
          kernels::short_conv(all, conv_, parts, slots.pool(0), *cpu_, columns_.inner);
      return kernels::state_scan(rows, all, columns_.steps(), scan_, parts, slots.pool(1), *cpu_);
    }
    return by_groups(all, parts, slots, 2, [&](const mx::array& x, auto& states) {
      auto [rows, past] =
          kernels::short_conv_rows(columns(x, columns_.inner, columns_.steps()), states[0], conv_);
      auto [y, after] = kernels::state_scan_rows(rows, columns(x, columns_.steps(), x.shape(-1)),
                                                 states[1], scan_);
      states = {std::move(past), std::move(after)};
      return y;
    });
  }

  Columns columns_;
  Linear in_proj_, out_proj_;
  kernels::ShortConv conv_;
  kernels::StateScan scan_;
  kernels::GatedNorm norm_;
  kernels::CpuBackendPtr cpu_;
};

}  // namespace

RecurrentState mamba2_state(const Mamba2Config& c, mx::Dtype dtype) {
  return {{{"conv", {c.taps - 1, Columns(c).convolved}, dtype},
           {"scan", {c.heads, c.state_dim, c.head_dim}, mx::float32}}};
}

std::unique_ptr<RecurrentMixer> load_mamba2(const Mamba2Config& config, int hidden_size,
                                            Checkpoint& checkpoint, const std::string& name) {
  return std::make_unique<Mamba2Mixer>(config, hidden_size, checkpoint, name);
}

}  // namespace pippin::nn
