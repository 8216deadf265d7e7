#include "nn/layers.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "pippin/error.h"

namespace pippin::nn {
namespace {

using Weight = std::variant<mx::array, kernels::QuantizedWeight>;
using kernels::QuantizedWeight;

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
  return {checkpoint.take(name + ".weight", {out, in * q->bits / 32}),
          checkpoint.take(name + ".scales", groups), checkpoint.take(name + ".biases", groups),
          q->group_size, q->bits};
}

mx::array expand(const QuantizedWeight& w, mx::Dtype dtype) {
  auto dense =
      mx::astype(mx::dequantize(w.weight, w.scales, w.biases, w.group_size, w.bits), dtype);
  dense.eval();
  return dense;
}

Weight load_weight(Checkpoint& checkpoint, const std::string& name, int in, int out) {
  if (checkpoint.has(name + ".scales")) {
    auto quantized = load_quantized(checkpoint, name, in, out);
    if (!checkpoint.expands_quantized()) return quantized;
    return expand(quantized, checkpoint.dtype());
  }
  return checkpoint.take(name + ".weight", {out, in});
}

mx::array concatenate_evaluated(std::vector<mx::array> parts) {
  auto whole = mx::concatenate(std::move(parts), 0);
  whole.eval();
  return whole;
}

template <class Get>
mx::array join(const std::vector<Linear>& parts, const Get& get) {
  std::vector<mx::array> arrays;
  for (const auto& part : parts) arrays.push_back(get(part));
  return concatenate_evaluated(std::move(arrays));
}

}  // namespace

Linear Linear::load(Checkpoint& checkpoint, const std::string& name, int in, int out, bool bias) {
  auto weight = load_weight(checkpoint, name, in, out);
  std::optional<mx::array> b;
  if (bias) b = checkpoint.take(name + ".bias", {out});
  if (auto* quantized = std::get_if<QuantizedWeight>(&weight))
    return {std::move(*quantized), std::move(b)};
  return {std::move(std::get<mx::array>(weight)), std::move(b)};
}

std::optional<Linear> Linear::concatenate(const std::vector<Linear>& parts) {
  const auto& first = parts.front();
  const auto* q = std::get_if<QuantizedWeight>(&first.weight_);
  for (const auto& part : parts) {
    const auto* other = std::get_if<QuantizedWeight>(&part.weight_);
    if (part.bias_.has_value() != first.bias_.has_value() || !q != !other) return {};
    if (q && (q->bits != other->bits || q->group_size != other->group_size)) return {};
  }
  std::optional<mx::array> bias;
  if (first.bias_) bias = join(parts, [](const Linear& l) { return *l.bias_; });
  if (!q)
    return Linear(join(parts, [](const Linear& l) { return std::get<mx::array>(l.weight_); }),
                  bias);
  const auto joined = [&](mx::array QuantizedWeight::* member) {
    return join(parts,
                [&](const Linear& l) { return std::get<QuantizedWeight>(l.weight_).*member; });
  };
  return Linear(QuantizedWeight{joined(&QuantizedWeight::weight), joined(&QuantizedWeight::scales),
                                joined(&QuantizedWeight::biases), q->group_size, q->bits},
                bias);
}

mx::array Linear::operator()(const mx::array& x) const {
  if (const auto* q = std::get_if<QuantizedWeight>(&weight_)) {
    const auto y = kernels::quantized_linear(x, *q);
    return bias_ ? y + *bias_ : y;
  }
  const auto transposed = mx::transpose(std::get<mx::array>(weight_));
  return bias_ ? mx::addmm(*bias_, x, transposed) : mx::matmul(x, transposed);
}

int Linear::out() const {
  const auto* q = std::get_if<QuantizedWeight>(&weight_);
  return q ? q->weight.shape(0) : std::get<mx::array>(weight_).shape(0);
}

FusedLinear::FusedLinear(std::vector<Linear> parts) {
  if (auto merged = Linear::concatenate(parts)) {
    int end = 0;
    for (std::size_t i = 0; i + 1 < parts.size(); ++i) splits_.push_back(end += parts[i].out());
    layers_.push_back(std::move(*merged));
  } else {
    layers_ = std::move(parts);
  }
}

std::vector<mx::array> FusedLinear::operator()(const mx::array& x) const {
  if (!splits_.empty())
    return mx::split(layers_.front()(x), mx::Shape(splits_.begin(), splits_.end()), -1);
  std::vector<mx::array> outputs;
  for (const auto& layer : layers_) outputs.push_back(layer(x));
  return outputs;
}

Embedding Embedding::load(Checkpoint& checkpoint, const std::string& name, int num_rows, int dim) {
  return Embedding(load_weight(checkpoint, name, dim, num_rows), checkpoint.dtype());
}

mx::array Embedding::operator()(const mx::array& ids) const {
  const auto* q = std::get_if<QuantizedWeight>(&weight_);
  if (!q) return mx::take(std::get<mx::array>(weight_), ids, 0);
  const auto rows = [&](const mx::array& x) { return mx::take(x, ids, 0); };
  return mx::astype(
      mx::dequantize(rows(q->weight), rows(q->scales), rows(q->biases), q->group_size, q->bits),
      dtype_);
}

Linear Embedding::as_linear() const {
  if (const auto* q = std::get_if<QuantizedWeight>(&weight_)) return {*q, std::nullopt};
  return {std::get<mx::array>(weight_), std::nullopt};
}

RmsNorm RmsNorm::load(Checkpoint& checkpoint, const std::string& name, int dim, float eps) {
  return RmsNorm(checkpoint.take(name + ".weight", {dim}), eps);
}

LayerNorm LayerNorm::load(Checkpoint& checkpoint, const std::string& name, int dim, float eps) {
  auto weight = checkpoint.take(name + ".weight", {dim});
  return LayerNorm(std::move(weight), checkpoint.take(name + ".bias", {dim}), eps);
}

mx::array swiglu(const mx::array& gate, const mx::array& up) {
  return gate * mx::sigmoid(gate) * up;
}

mx::array gelu(const mx::array& x) {
  const auto scaled = mx::erf(x * mx::array(1.0f / std::numbers::sqrt2_v<float>, x.dtype()));
  return x * mx::array(0.5f, x.dtype()) * (scaled + mx::array(1.0f, x.dtype()));
}

mx::array gelu_tanh(const mx::array& x) {
  const auto constant = [&](float value) { return mx::array(value, x.dtype()); };
  const float sqrt_2_over_pi = std::sqrt(2.0f * std::numbers::inv_pi_v<float>);
  const auto inner = constant(sqrt_2_over_pi) * (x + constant(0.044715f) * x * x * x);
  return constant(0.5f) * x * (constant(1.0f) + mx::tanh(inner));
}

}  // namespace pippin::nn
