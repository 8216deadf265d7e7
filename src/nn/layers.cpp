#include "nn/layers.h"

#include <algorithm>
#include <utility>

#include "pippin/error.h"

namespace pippin::nn {
namespace {

using kernels::QuantizedWeight;
using kernels::Scheme;
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

// Scales of a byte say that the module is not affine, whatever the config says of the others: mlx-lm keeps gpt-oss's
// experts as they were published, and has no word for it.
Quantization infer_from_bytes(const Checkpoint& checkpoint, const std::string& name, int in) {
  const int group = in / std::max(1, checkpoint.shape(name + ".scales").back());
  if (group == 16) return {16, 4, Scheme::nvfp4};
  const bool nibbles =
      checkpoint.has(name + ".blocks") || checkpoint.shape(name + ".weight").back() * 8 == in;
  if (nibbles) return {32, 4, Scheme::mxfp4};
  return {32, 8, Scheme::mxfp8};
}

// Words [..., out, K * bits / 32], or bytes by groups as gpt-oss is published, `.blocks` [..., out, K / 32, 16].
mx::array take_words(Checkpoint& checkpoint, const std::string& name, const mx::Shape& words) {
  if (!checkpoint.has(name + ".blocks")) return checkpoint.take_stored(name + ".weight", words);
  auto blocks = words;
  blocks.back() /= 4;
  blocks.push_back(16);
  auto stored = checkpoint.take_stored(name + ".blocks", blocks);
  stored = mx::reshape(mx::view(stored, mx::uint32), words);
  stored.eval();
  return stored;
}

std::optional<mx::array> take_global_scale(Checkpoint& checkpoint, const std::string& name) {
  const auto tensor = name + ".global_scale";
  if (!checkpoint.has(tensor)) return {};
  return mx::astype(checkpoint.take_stored(tensor, checkpoint.shape(tensor)), mx::float32);
}

// `outputs`: [out], or [E, out] of a bank.
QuantizedWeight load_quantized(Checkpoint& checkpoint, const std::string& name, int in,
                               const mx::Shape& outputs) {
  auto q = checkpoint.quantization(name);
  const bool bytes = checkpoint.stored_dtype(name + ".scales") == mx::uint8;
  if (bytes && (!q || q->scheme == Scheme::affine)) q = infer_from_bytes(checkpoint, name, in);
  if (!q) q = infer_quantization(checkpoint, name, in);
  if (q->bits == 0)
    throw Error(Code::invalid_argument, "[checkpoint] tensor '" + name +
                                            ".scales' is left over: the config says that '" + name +
                                            "' is not quantized");
  const auto shaped = [&](int width) {
    auto shape = outputs;
    shape.push_back(width);
    return shape;
  };
  const int groups = in / q->group_size, words = in * q->bits / 32;
  if (q->scheme != Scheme::affine)
    return {take_words(checkpoint, name, shaped(words)),
            checkpoint.take_stored(name + ".scales", shaped(groups)),
            std::nullopt,
            q->group_size,
            q->bits,
            q->scheme,
            take_global_scale(checkpoint, name)};
  // The kernels read the file's own format; MLX's operations want the scales in the activations'.
  const auto take = [&](const char* tensor, int width) {
    return checkpoint.cpu() ? checkpoint.take_stored(name + tensor, shaped(width))
                            : checkpoint.take(name + tensor, shaped(width));
  };
  auto weight = take(".weight", words), scales = take(".scales", groups);
  return {std::move(weight), std::move(scales), take(".biases", groups), q->group_size, q->bits};
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

// Affine scales are widened first: MLX computes in their dtype.
mx::array expanded(QuantizedWeight w, mx::Dtype dtype) {
  if (w.biases) {
    w.scales = mx::astype(w.scales, mx::float32);
    w.biases = mx::astype(*w.biases, mx::float32);
  }
  auto values = kernels::dequantized(w, dtype);
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
  const Weight weight(load_expanded(checkpoint, name, in, out));
  return {packed(checkpoint, weight), load_bias(checkpoint, name, out, bias)};
}

mx::array load_expanded(Checkpoint& checkpoint, const std::string& name, int in, int out) {
  const auto weight = load_stored<Weight>(checkpoint, name, in, {out});
  const auto* q = weight.quantized();
  return q ? expanded(*q, checkpoint.dtype()) : *weight.dense();
}

kernels::Bank load_bank(Checkpoint& checkpoint, const std::string& name, const std::string& which,
                        int num_experts, int in, int out) {
  const auto whole = name + "." + which;
  if (checkpoint.has(whole + ".weight") || checkpoint.has(whole + ".blocks"))
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
                      bool adds_one, float factor) {
  auto weight = checkpoint.take(name + ".weight", {dim});
  if (adds_one) weight = mx::array(1.0f, weight.dtype()) + weight;
  if (factor != 1) weight = weight * mx::array(factor, weight.dtype());
  weight.eval();
  return RmsNorm(std::move(weight), eps, checkpoint.cpu());
}

RmsNorm RmsNorm::plain(const Checkpoint& checkpoint, int dim, float eps) {
  auto ones = mx::ones({dim}, checkpoint.dtype());
  ones.eval();
  return RmsNorm(std::move(ones), eps, checkpoint.cpu());
}

LayerNorm LayerNorm::load(Checkpoint& checkpoint, const std::string& name, int dim, float eps,
                          bool bias) {
  auto weight = checkpoint.take(name + ".weight", {dim});
  auto b = bias ? checkpoint.take(name + ".bias", {dim}) : mx::zeros({dim}, weight.dtype());
  b.eval();
  return LayerNorm(std::move(weight), std::move(b), eps, checkpoint.cpu());
}

}  // namespace pippin::nn
