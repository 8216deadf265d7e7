#include "nn/layers.h"

#include "pippin/error.h"

namespace pippin::nn {
namespace {

using kernels::QuantizedWeight;
using kernels::Weight;

// What the tensors' own shapes say, for a config that is silent: weight holds in * bits / 32 words, scales in / group_size.
Quantization infer_quantization(const Checkpoint& checkpoint, const std::string& name, int in) {
  const auto words = checkpoint.shape(name + ".weight"),
             groups = checkpoint.shape(name + ".scales");
  if (words.size() != 2 || groups.size() != 2 || groups[1] < 1)
    throw Error(Code::invalid_argument,
                "[checkpoint] tensor '" + name + ".scales' is no matrix of groups");
  const auto bits = static_cast<std::int64_t>(words[1]) * 32 / in;
  return checked_quantization(in / groups[1], bits, "'" + name + "'");
}

QuantizedWeight load_quantized(Checkpoint& checkpoint, const std::string& name, int in, int out) {
  auto q = checkpoint.quantization(name);
  if (!q) q = infer_quantization(checkpoint, name, in);
  if (q->bits == 0)
    throw Error(Code::invalid_argument, "[checkpoint] tensor '" + name +
                                            ".scales' is left over: the config says that '" + name +
                                            "' is not quantized");
  const mx::Shape groups = {out, in / q->group_size};
  // The kernels read the file's own format; MLX's operations want the scales in the activations'.
  const auto take = [&](const std::string& tensor, const mx::Shape& shape) {
    return checkpoint.cpu() ? checkpoint.take_stored(tensor, shape)
                            : checkpoint.take(tensor, shape);
  };
  return {take(name + ".weight", {out, in * q->bits / 32}), take(name + ".scales", groups),
          take(name + ".biases", groups), q->group_size, q->bits};
}

Weight load_weight(Checkpoint& checkpoint, const std::string& name, int in, int out) {
  const auto& cpu = checkpoint.cpu();
  if (checkpoint.has(name + ".scales")) {
    const auto quantized = load_quantized(checkpoint, name, in, out);
    if (cpu) return Weight(quantized).packed_for(cpu);
    return quantized;
  }
  if (cpu) return Weight(checkpoint.take_stored(name + ".weight", {out, in})).packed_for(cpu);
  return checkpoint.take(name + ".weight", {out, in});
}

}  // namespace

Linear Linear::load(Checkpoint& checkpoint, const std::string& name, int in, int out, bool bias) {
  auto weight = load_weight(checkpoint, name, in, out);
  std::optional<mx::array> b;
  if (bias) b = checkpoint.take(name + ".bias", {out});
  return {std::move(weight), std::move(b)};
}

JoinedLinear::JoinedLinear(const std::vector<Linear>& parts) {
  std::vector<mx::array> biases;
  for (const auto& part : parts) {
    weights_.push_back(part.weight());
    if (part.bias()) biases.push_back(*part.bias());
  }
  if (!biases.empty() && biases.size() != parts.size())
    throw Error(Code::invalid_argument, "[checkpoint] some of joined layers have a bias, some not");
  if (!biases.empty()) {
    bias_ = mx::concatenate(biases, 0);
    bias_->eval();
  }
  if (auto merged = Weight::concatenate(weights_)) weights_ = {std::move(*merged)};
}

GatedLinear::GatedLinear(const Linear& gate, const Linear& up, Activation activation)
    : weights_{gate.weight(), up.weight()}, options_{activation, gate.bias(), up.bias()} {
  if (auto merged = Weight::concatenate(weights_)) weights_ = {std::move(*merged)};
}

mx::array GatedLinear::operator()(const mx::array& x) const {
  return weights_.size() == 1 ? kernels::gated_linear(x, weights_[0], options_)
                              : kernels::gated_linear(x, weights_[0], weights_[1], options_);
}

Embedding Embedding::load(Checkpoint& checkpoint, const std::string& name, int num_rows, int dim) {
  return Embedding(load_weight(checkpoint, name, dim, num_rows), checkpoint.dtype());
}

RmsNorm RmsNorm::load(Checkpoint& checkpoint, const std::string& name, int dim, float eps,
                      bool adds_one) {
  auto weight = checkpoint.take(name + ".weight", {dim});
  if (adds_one) {
    weight = mx::array(1.0f, weight.dtype()) + weight;
    weight.eval();
  }
  return RmsNorm(std::move(weight), eps, checkpoint.cpu());
}

LayerNorm LayerNorm::load(Checkpoint& checkpoint, const std::string& name, int dim, float eps) {
  auto weight = checkpoint.take(name + ".weight", {dim});
  return LayerNorm(std::move(weight), checkpoint.take(name + ".bias", {dim}), eps,
                   checkpoint.cpu());
}

}  // namespace pippin::nn
