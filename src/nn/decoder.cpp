#include "nn/decoder.h"

#include <utility>

namespace pippin::nn {
namespace {

Norm load_norm(const DecoderConfig& c, Checkpoint& checkpoint, const std::string& name) {
  if (c.norm_kind == NormKind::layer)
    return LayerNorm::load(checkpoint, name, c.hidden_size, c.norm_eps, false);
  return RmsNorm::load(checkpoint, name, c.hidden_size, c.norm_eps, c.norm_adds_one);
}

std::optional<Norm> optional_norm(const DecoderConfig& c, Checkpoint& checkpoint,
                                  const std::string& block, const std::string& name) {
  if (name.empty()) return {};
  return load_norm(c, checkpoint, block + "." + name);
}

Linear load_lm_head(const DecoderConfig& c, Checkpoint& checkpoint, const Embedding& embedding) {
  if (c.tied.value_or(!checkpoint.has("lm_head.weight"))) return embedding.as_linear();
  return Linear::load(checkpoint, "lm_head", c.hidden_size, c.vocab_size);
}

JoinedLinear load_qkv(const DecoderConfig& c, const AttentionConfig& a, Checkpoint& checkpoint,
                      const std::string& name) {
  const auto part = [&](const char* which, int heads) {
    return Linear::load(checkpoint, name + which, c.hidden_size, heads * a.head_dim, a.qkv_bias);
  };
  auto q = part(".q_proj", a.output_gate ? 2 * a.num_heads : a.num_heads),
       k = part(".k_proj", a.num_kv_heads), v = part(".v_proj", a.num_kv_heads);
  return JoinedLinear({std::move(q), std::move(k), std::move(v)});
}

kernels::AttentionSpec load_spec(const DecoderConfig& c, const AttentionConfig& a,
                                 Checkpoint& checkpoint, const std::string& name) {
  kernels::AttentionSpec spec{{a.num_heads, a.num_kv_heads, a.head_dim},
                              {.scale = a.scale, .window = a.window, .softcap = a.softcap},
                              {.norms = a.norms, .eps = c.norm_eps}};
  if (a.sinks) spec.scores.sinks = checkpoint.take(name + ".sinks", {a.num_heads});
  if (a.norms == cpu::HeadNorms::none) return spec;
  const bool whole = a.norms == cpu::HeadNorms::whole_row;
  const auto weight = [&](const char* which, int heads) {
    const int dim = whole ? heads * a.head_dim : a.head_dim;
    return RmsNorm::load(checkpoint, name + which, dim, c.norm_eps, c.norm_adds_one).weight();
  };
  spec.norm.q = weight(".q_norm", a.num_heads);
  spec.norm.k = weight(".k_norm", a.num_kv_heads);
  return spec;
}

MlpConfig mlp_of(const DecoderConfig& c) {
  return {c.hidden_size, c.intermediate_size, c.activation, c.mlp_bias};
}

// Null where the layer has an MLP.
const MoeConfig* moe_of(const DecoderConfig& c, std::size_t layer) {
  return c.moe && (c.routed.empty() || c.routed[layer]) ? &*c.moe : nullptr;
}

// Takes rows whose heads have a query and a gate side by side: leaves [queries, keys, values], returns the gates, [T, H * Dh].
mx::array take_gates(mx::array& qkv, const kernels::AttentionShape& shape) {
  const int rows = qkv.shape(0), heads = shape.num_heads, dim = shape.head_dim;
  const auto part = [&](const mx::array& x, int begin, int end) {
    return mx::slice(x, {0, begin}, {rows, end});
  };
  const auto both = mx::reshape(part(qkv, 0, 2 * heads * dim), {rows * heads, 2 * dim});
  const auto half = [&](int i) {
    return mx::reshape(mx::slice(both, {0, i * dim}, {rows * heads, (i + 1) * dim}),
                       {rows, heads * dim});
  };
  const auto gates = half(1);
  qkv = mx::concatenate({half(0), part(qkv, 2 * heads * dim, qkv.shape(1))}, 1);
  return gates;
}

mx::array times(const mx::array& x, float factor) {
  return factor == 1 ? x : x * mx::array(factor, x.dtype());
}

mx::array scales_of(const mx::array& positions, const QueryScale& scale) {
  const auto first = mx::astype(mx::slice(positions, {0, 0}, {1, positions.shape(1)}), mx::float32);
  const auto windows = mx::floor(first / mx::array(static_cast<float>(scale.context)));
  return mx::reshape(mx::array(1.0f) + mx::array(scale.beta) * mx::log(mx::array(1.0f) + windows),
                     {-1});
}

}  // namespace

std::vector<LayerState> layer_states(const DecoderConfig& config, const LoadOptions& options) {
  std::vector<LayerState> states;
  for (const int layer : config.layers) {
    if (layer == recurrent_layer) {
      states.emplace_back(config.short_conv ? short_conv_state(*config.short_conv, options.dtype)
                                            : gated_delta_state(*config.gated_delta, options.dtype,
                                                                options.cpu != nullptr));
      continue;
    }
    const auto& kind = config.kinds[static_cast<std::size_t>(layer)];
    states.emplace_back(PagedKv{kind.num_kv_heads, kind.head_dim, kind.head_dim, kind.window});
  }
  return states;
}

Decoder::Attention::Attention(const DecoderConfig& c, const AttentionConfig& kind,
                              Checkpoint& checkpoint, const std::string& name)
    : o_proj(Linear::load(checkpoint, name + ".o_proj", kind.num_heads * kind.head_dim,
                          c.hidden_size, kind.output_bias)),
      qkv_proj_(load_qkv(c, kind, checkpoint, name)),
      spec_(load_spec(c, kind, checkpoint, name)),
      output_gate_(kind.output_gate) {}

mx::array Decoder::Attention::operator()(const mx::array& x, const kernels::RowPositions& rows,
                                         const kernels::PagedLayout& layout, mx::array& k_pool,
                                         mx::array& v_pool) const {
  auto qkv = qkv_proj_(x);
  if (!output_gate_) return kernels::causal_attention(qkv, spec_, rows, k_pool, v_pool, layout);
  const auto gates = take_gates(qkv, spec_.shape);
  const auto y = kernels::causal_attention(qkv, spec_, rows, k_pool, v_pool, layout);
  return y * mx::sigmoid(gates);
}

Decoder::Block::Block(const DecoderConfig& c, std::size_t layer, Checkpoint& checkpoint,
                      const std::string& name)
    : kind(c.layers[layer]),
      attention_input(optional_norm(c, checkpoint, name, c.norms.attention_input)),
      attention_output(optional_norm(c, checkpoint, name, c.norms.attention_output)),
      mlp_input(optional_norm(c, checkpoint, name, c.norms.mlp_input)),
      mlp(mlp_of(c), moe_of(c, layer), checkpoint, name + ".mlp"),
      mlp_output(optional_norm(c, checkpoint, name, c.norms.mlp_output)) {
  if (kind == recurrent_layer && c.short_conv)
    recurrent = load_short_conv(*c.short_conv, c.hidden_size, checkpoint, name + ".conv");
  else if (kind == recurrent_layer)
    recurrent = load_gated_delta(*c.gated_delta, c.hidden_size, checkpoint, name + ".linear_attn");
  else
    self_attn.emplace(c, c.kinds[static_cast<std::size_t>(kind)], checkpoint, name + ".self_attn");
}

Decoder::Decoder(DecoderConfig config, Checkpoint& checkpoint)
    : config_(std::move(config)),
      embed_tokens_(Embedding::load(checkpoint, "model.embed_tokens", config_.vocab_size,
                                    config_.hidden_size)),
      norm_(load_norm(config_, checkpoint, "model.norm")),
      lm_head_(load_lm_head(config_, checkpoint, embed_tokens_)) {
  for (std::size_t i = 0; i < config_.layers.size(); ++i)
    layers_.emplace_back(config_, i, checkpoint, "model.layers." + std::to_string(i));
}

mx::array Decoder::embed(const mx::array& tokens) const {
  return times(embed_tokens_(tokens), config_.embedding_scale);
}

// By kind.
std::vector<kernels::RowPositions> Decoder::row_positions(const DecoderStep& step) const {
  std::vector<kernels::RopeAngles> angles;
  for (const auto& rope : config_.ropes)
    angles.push_back(kernels::rope_angles(step.positions, step.one_axis, rope));
  std::vector<kernels::RowPositions> all;
  for (const auto& kind : config_.kinds) {
    kernels::RowPositions rows;
    if (kind.rope >= 0) rows.angles = angles[static_cast<std::size_t>(kind.rope)];
    if (kind.query_scale) rows.query_scales = scales_of(step.positions, *kind.query_scale);
    all.push_back(std::move(rows));
  }
  return all;
}

// h + last(x), normed and scaled where the family does that.
template <class Last>
mx::array Decoder::add_branch(const mx::array& h, const Last& last, const mx::array& x,
                              const std::optional<Norm>& norm) const {
  if (!norm && config_.residual_scale == 1) return last.add_to(h, x);
  const auto y = last(x);
  return h + times(norm ? (*norm)(y) : y, config_.residual_scale);
}

// h + the layer's attention, or what it has in its place.
mx::array Decoder::mix(const mx::array& h, const mx::array& x, std::size_t i,
                       const DecoderStep& step, const std::vector<kernels::RowPositions>& rows,
                       ModelState& state) const {
  const auto& layer = layers_[i];
  if (layer.recurrent)
    return add_branch(h, layer.recurrent->out_proj(),
                      (*layer.recurrent)(x, step.states, state.recurrent(i)),
                      layer.attention_output);
  return add_branch(h, layer.self_attn->o_proj,
                    (*layer.self_attn)(x, rows[static_cast<std::size_t>(layer.kind)], step.layout,
                                       state.keys(i), state.values(i)),
                    layer.attention_output);
}

mx::array Decoder::forward(mx::array h, const DecoderStep& step, ModelState& state) const {
  const auto rows = row_positions(step);
  for (std::size_t i = 0; i < layers_.size(); ++i) {
    const auto& layer = layers_[i];
    const auto normed = [&](const std::optional<Norm>& norm) { return norm ? (*norm)(h) : h; };
    const auto x = normed(layer.attention_input);
    h = mix(h, x, i, step, rows, state);
    h = add_branch(h, layer.mlp, config_.parallel ? x : normed(layer.mlp_input), layer.mlp_output);
    if (step.after_layer) h = step.after_layer(std::move(h), i);
  }
  return h;
}

mx::array Decoder::logits(const mx::array& h) const {
  auto x = times(mx::astype(lm_head_(norm_(h)), mx::float32), config_.logit_scale);
  if (config_.logit_softcap == 0) return x;
  const mx::array cap(config_.logit_softcap);
  return cap * mx::tanh(x / cap);
}

}  // namespace pippin::nn
