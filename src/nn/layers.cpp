#include "nn/layers.h"

#include <utility>

#include "pippin/error.h"

namespace pippin::nn {
namespace {

using kernels::QuantizedWeight;
using kernels::Weight;

// What the tensors' own shapes say, for a config that is silent: weight holds in * bits / 32 words, scales in / group_size.
Quantization infer_quantization(const Checkpoint& checkpoint, const std::string& name, int in) {
  const auto words = checkpoint.shape(name + ".weight"),
             groups = checkpoint.shape(name + ".scales");
  if (words.size() < 2 || groups.size() != words.size() || groups.back() < 1)
    throw Error(Code::invalid_argument,
                "[checkpoint] tensor '" + name + ".scales' is no matrix of groups");
  const auto bits = static_cast<std::int64_t>(words.back()) * 32 / in;
  return checked_quantization(in / groups.back(), bits, "'" + name + "'");
}

// `outputs`: [out], or [E, out] of a bank.
QuantizedWeight load_quantized(Checkpoint& checkpoint, const std::string& name, int in,
                               const mx::Shape& outputs) {
  auto q = checkpoint.quantization(name);
  if (!q) q = infer_quantization(checkpoint, name, in);
  if (q->bits == 0)
    throw Error(Code::invalid_argument, "[checkpoint] tensor '" + name +
                                            ".scales' is left over: the config says that '" + name +
                                            "' is not quantized");
  // The kernels read the file's own format; MLX's operations want the scales in the activations'.
  const auto take = [&](const char* tensor, int width) {
    auto shape = outputs;
    shape.push_back(width);
    return checkpoint.cpu() ? checkpoint.take_stored(name + tensor, shape)
                            : checkpoint.take(name + tensor, shape);
  };
  auto weight = take(".weight", in * q->bits / 32), scales = take(".scales", in / q->group_size);
  return {std::move(weight), std::move(scales), take(".biases", in / q->group_size), q->group_size,
          q->bits};
}

// As the checkpoint stores it: `outputs` as above. Kind: Weight or Bank.
template <class Kind>
Kind load_stored(Checkpoint& checkpoint, const std::string& name, int in,
                 const mx::Shape& outputs) {
  if (checkpoint.has(name + ".scales")) return load_quantized(checkpoint, name, in, outputs);
  auto shape = outputs;
  shape.push_back(in);
  return checkpoint.cpu() ? checkpoint.take_stored(name + ".weight", shape)
                          : checkpoint.take(name + ".weight", shape);
}

template <class Kind>
Kind packed(Checkpoint& checkpoint, const Kind& weight) {
  return checkpoint.cpu() ? weight.packed_for(checkpoint.cpu()) : weight;
}

Weight load_weight(Checkpoint& checkpoint, const std::string& name, int in, int out) {
  return packed(checkpoint, load_stored<Weight>(checkpoint, name, in, {out}));
}

mx::array expanded(const QuantizedWeight& w, mx::Dtype dtype) {
  const auto wide = [](const mx::array& x) { return mx::astype(x, mx::float32); };
  auto values = mx::dequantize(w.weight, wide(w.scales), wide(w.biases), w.group_size, w.bits);
  values = mx::astype(values, dtype);
  values.eval();
  return values;
}

std::optional<mx::array> load_bias(Checkpoint& checkpoint, const std::string& name, int out,
                                   bool bias) {
  if (!bias) return {};
  return checkpoint.take(name + ".bias", {out});
}

}  // namespace

Linear Linear::load(Checkpoint& checkpoint, const std::string& name, int in, int out, bool bias) {
  auto weight = load_weight(checkpoint, name, in, out);
  return {std::move(weight), load_bias(checkpoint, name, out, bias)};
}

Linear Linear::load_plain(Checkpoint& checkpoint, const std::string& name, int in, int out,
                          bool bias) {
  auto weight = load_stored<Weight>(checkpoint, name, in, {out});
  if (const auto* q = weight.quantized()) weight = expanded(*q, checkpoint.dtype());
  return {packed(checkpoint, weight), load_bias(checkpoint, name, out, bias)};
}

kernels::Bank load_bank(Checkpoint& checkpoint, const std::string& name, const std::string& which,
                        int num_experts, int in, int out) {
  const auto whole = name + "." + which;
  if (checkpoint.has(whole + ".weight"))
    return packed(checkpoint,
                  load_stored<kernels::Bank>(checkpoint, whole, in, {num_experts, out}));
  std::vector<Weight> matrices;
  for (int e = 0; e < num_experts; ++e)
    matrices.push_back(
        load_stored<Weight>(checkpoint, name + "." + std::to_string(e) + "." + which, in, {out}));
  return kernels::Bank::stack(matrices, checkpoint.cpu());
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
