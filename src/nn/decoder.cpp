#include "nn/decoder.h"

#include <numbers>
#include <utility>

namespace pippin::nn {
namespace {

Norm load_norm(const DecoderConfig& c, Checkpoint& checkpoint, const std::string& name, float eps) {
  if (c.norm_kind == NormKind::layer)
    return LayerNorm::load(checkpoint, name, c.hidden_size, eps, false);
  return RmsNorm::load(checkpoint, name, c.hidden_size, eps, c.norm_adds_one);
}

Norm load_last_norm(DecoderConfig c, Checkpoint& checkpoint) {
  if (c.last_norm_plain) c.norm_adds_one = false;
  return load_norm(c, checkpoint, "model.norm", c.norm_eps);
}

std::optional<Norm> optional_norm(const DecoderConfig& c, Checkpoint& checkpoint,
                                  const std::string& block, const std::string& name, float eps) {
  if (name.empty()) return {};
  return load_norm(c, checkpoint, block + "." + name, eps);
}

Linear load_lm_head(const DecoderConfig& c, Checkpoint& checkpoint, const Embedding& embedding) {
  if (c.tied.value_or(!checkpoint.has("lm_head.weight"))) return embedding.as_linear();
  return Linear::load(checkpoint, "lm_head", c.hidden_size, c.vocab_size);
}

cpu::KeyValues key_values(const AttentionConfig& a, bool has_kv) {
  if (!has_kv) return cpu::KeyValues::none;
  return a.keys_are_values ? cpu::KeyValues::one : cpu::KeyValues::apart;
}

JoinedLinear load_qkv(const DecoderConfig& c, const AttentionConfig& a, cpu::KeyValues kv,
                      Checkpoint& checkpoint, const std::string& name) {
  const auto part = [&](const char* which, int heads) {
    return Linear::load(checkpoint, name + which, c.hidden_size, heads * a.head_dim, a.qkv_bias);
  };
  const bool beside = a.output_gate == OutputGate::beside_queries;
  std::vector<Linear> parts = {part(".q_proj", beside ? 2 * a.num_heads : a.num_heads)};
  if (kv != cpu::KeyValues::none) parts.push_back(part(".k_proj", a.num_kv_heads));
  if (kv == cpu::KeyValues::apart) parts.push_back(part(".v_proj", a.num_kv_heads));
  if (a.output_gate == OutputGate::apart) parts.push_back(part(".gate_proj", a.num_heads));
  return JoinedLinear(parts);
}

kernels::AttentionShape shape_of(const AttentionConfig& a) {
  if (a.latent) return latent_shape(*a.latent, a.num_heads);
  return {a.num_heads, a.num_kv_heads, a.head_dim};
}

// Of attention's output, which o_proj reads.
int output_width(const AttentionConfig& a) {
  return a.num_heads * (a.latent ? a.latent->value_dim : a.head_dim);
}

kernels::AttentionSpec load_spec(const DecoderConfig& c, const AttentionConfig& a,
                                 cpu::KeyValues kv, Checkpoint& checkpoint,
                                 const std::string& name) {
  kernels::AttentionSpec spec{shape_of(a),
                              {.scale = a.scale, .window = a.window, .softcap = a.softcap},
                              {.norms = a.norms, .eps = c.norm_eps, .values = a.value_norm},
                              kv};
  if (a.sinks) spec.scores.sinks = checkpoint.take(name + ".sinks", {a.num_heads});
  if (a.norms == cpu::HeadNorms::none || !a.norm_weights) return spec;
  const bool whole = a.norms == cpu::HeadNorms::whole_row;
  const auto weight = [&](const char* which, int heads) {
    const int dim = whole ? heads * a.head_dim : a.head_dim;
    return RmsNorm::load(checkpoint, name + which, dim, c.norm_eps, c.norm_adds_one).weight();
  };
  spec.norm.q = weight(".q_norm", a.num_heads);
  if (kv != cpu::KeyValues::none) spec.norm.k = weight(".k_norm", a.num_kv_heads);
  return spec;
}

MlpConfig mlp_of(const DecoderConfig& c, std::size_t layer) {
  const int width =
      c.intermediate_sizes.empty() ? c.intermediate_size : c.intermediate_sizes[layer];
  const float sparsity = c.sparsities.empty() ? 0 : c.sparsities[layer];
  return {c.hidden_size, width, c.activation, c.mlp_bias, c.mlp_gated, sparsity};
}

// The layer whose keys and values it reads, -1 where it has its own.
int shared_layer(const DecoderConfig& c, std::size_t layer) {
  return c.shared_kv.empty() ? -1 : c.shared_kv[layer];
}

// Null where the layer has an MLP.
const MoeConfig* moe_of(const DecoderConfig& c, std::size_t layer) {
  return c.moe && (c.routed.empty() || c.routed[layer]) ? &*c.moe : nullptr;
}

bool has_mlp(const DecoderConfig& c, std::size_t layer) {
  return c.mixer_alone.empty() || !c.mixer_alone[layer];
}

bool is_beside(const DecoderConfig& c, std::size_t layer) {
  return !c.beside_previous.empty() && c.beside_previous[layer];
}

RecurrentState recurrent_state(const DecoderConfig& c, const LoadOptions& options) {
  if (c.short_conv) return short_conv_state(*c.short_conv, options.dtype);
  if (c.mamba2) return mamba2_state(*c.mamba2, options.dtype);
  return gated_delta_state(*c.gated_delta, options.dtype, options.cpu != nullptr);
}

std::unique_ptr<RecurrentMixer> load_recurrent(const DecoderConfig& c, Checkpoint& checkpoint,
                                               const std::string& block) {
  if (c.short_conv)
    return load_short_conv(*c.short_conv, c.hidden_size, checkpoint, block + ".conv");
  if (c.mamba2) return load_mamba2(*c.mamba2, c.hidden_size, checkpoint, block + ".mamba");
  return load_gated_delta(*c.gated_delta, c.hidden_size, checkpoint, block + ".linear_attn");
}

// Takes rows whose heads have a query and a gate side by side, or whose gates come last: leaves [queries, keys, values], returns
// the gates, [T, H * Dh].
mx::array take_gates(mx::array& qkv, const kernels::AttentionShape& shape, OutputGate gate) {
  const int rows = qkv.shape(0), heads = shape.num_heads, dim = shape.head_dim;
  if (gate == OutputGate::apart) {
    const int end = (heads + 2 * shape.num_kv_heads) * dim;
    const auto gates = columns(qkv, end, qkv.shape(1));
    qkv = columns(qkv, 0, end);
    return gates;
  }
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
    if (const int shared = shared_layer(config, states.size()); shared >= 0) {
      states.emplace_back(SharedKv{shared});
    } else if (layer >= 0) {
      const auto& kind = config.kinds[static_cast<std::size_t>(layer)];
      const auto shape = shape_of(kind);
      states.emplace_back(PagedKv{shape.num_kv_heads, shape.head_dim, shape.value_dim(),
                                  kind.window, shape.values_in_keys});
    } else if (layer == recurrent_layer) {
      states.emplace_back(recurrent_state(config, options));
    } else {
      states.emplace_back(NoState{});
    }
  }
  return states;
}

Decoder::Attention::Attention(const DecoderConfig& c, const AttentionConfig& kind, bool has_kv,
                              Checkpoint& checkpoint, const std::string& name)
    : o_proj(Linear::load(checkpoint, name + ".o_proj", output_width(kind), c.hidden_size,
                          kind.output_bias)),
      spec_(load_spec(c, kind, key_values(kind, has_kv), checkpoint, name)),
      output_gate_(kind.output_gate) {
  if (kind.latent)
    latent_.emplace(*kind.latent, c.hidden_size, kind.num_heads, checkpoint, name);
  else
    qkv_proj_ = load_qkv(c, kind, spec_.kv, checkpoint, name);
}

mx::array Decoder::Attention::operator()(const mx::array& x, const kernels::RowPositions& rows,
                                         const kernels::PagedLayout& layout, mx::array& k_pool,
                                         mx::array& v_pool) const {
  if (latent_)
    return latent_->values(
        kernels::causal_attention(latent_->rows(x), spec_, rows, k_pool, v_pool, layout));
  auto qkv = (*qkv_proj_)(x);
  if (output_gate_ == OutputGate::none)
    return kernels::causal_attention(qkv, spec_, rows, k_pool, v_pool, layout);
  const auto gates = take_gates(qkv, spec_.shape, output_gate_);
  const auto y = kernels::causal_attention(qkv, spec_, rows, k_pool, v_pool, layout);
  return y * mx::sigmoid(gates);
}

Decoder::Block::Block(const DecoderConfig& c, std::size_t layer, Checkpoint& checkpoint,
                      const std::string& name)
    : kind(c.layers[layer]) {
  const float output_eps = c.output_norm_eps > 0 ? c.output_norm_eps : c.norm_eps;
  const auto norm = [&](const std::string& which, float eps) {
    return optional_norm(c, checkpoint, name, which, eps);
  };
  if (kind != no_mixer && !is_beside(c, layer))
    attention_input = norm(c.norms.attention_input, c.norm_eps);
  if (kind != no_mixer) attention_output = norm(c.norms.attention_output, output_eps);
  if (has_mlp(c, layer)) {
    mlp_input = norm(c.norms.mlp_input, c.norm_eps);
    mlp.emplace(mlp_of(c, layer), moe_of(c, layer), BranchNorms{c.norm_eps, c.norm_adds_one},
                checkpoint, name + ".mlp");
    mlp_output = norm(c.norms.mlp_output, output_eps);
  }
  if (kind == recurrent_layer)
    recurrent = load_recurrent(c, checkpoint, name);
  else if (kind >= 0)
    self_attn.emplace(c, c.kinds[static_cast<std::size_t>(kind)], shared_layer(c, layer) < 0,
                      checkpoint, name + ".self_attn");
  if (c.layer_inputs)
    layer_input.emplace(*c.layer_inputs, layer, c.hidden_size, c.norm_eps, c.activation, checkpoint,
                        name + ".layer_input");
  if (c.laurel_rank > 0)
    laurel = Laurel{
        Linear::load(checkpoint, name + ".laurel.linear_left", c.hidden_size, c.laurel_rank),
        Linear::load(checkpoint, name + ".laurel.linear_right", c.laurel_rank, c.hidden_size),
        load_norm(c, checkpoint, name + ".laurel.post_laurel_norm", c.norm_eps)};
  if (c.altup) altup.emplace(*c.altup, c.hidden_size, c.norm_eps, checkpoint, name + ".altup");
  if (c.layer_scale)
    scale = mx::astype(checkpoint.take(name + ".layer_scale", {1}), mx::float32).item<float>();
}

Decoder::Decoder(DecoderConfig config, Checkpoint& checkpoint)
    : config_(std::move(config)),
      embed_tokens_(Embedding::load(checkpoint, "model.embed_tokens", config_.vocab_size,
                                    config_.hidden_size)),
      norm_(load_last_norm(config_, checkpoint)),
      lm_head_(load_lm_head(config_, checkpoint, embed_tokens_)),
      cpu_(checkpoint.cpu()) {
  if (config_.layer_inputs)
    layer_inputs_.emplace(*config_.layer_inputs, static_cast<int>(config_.layers.size()),
                          config_.hidden_size, config_.norm_eps, checkpoint);
  if (config_.embedding_norm)
    embedding_norm_ = RmsNorm::plain(checkpoint, config_.hidden_size, config_.norm_eps);
  if (config_.altup) altup_.emplace(*config_.altup, config_.hidden_size, checkpoint);
  for (std::size_t i = 0; i < config_.layers.size(); ++i)
    layers_.emplace_back(config_, i, checkpoint, "model.layers." + std::to_string(i));
}

mx::array Decoder::embed(const mx::array& tokens) const {
  const auto rows = times(embed_tokens_(tokens), config_.embedding_scale);
  return embedding_norm_ ? (*embedding_norm_)(rows) : rows;
}

std::optional<mx::array> Decoder::layer_inputs(const mx::array& tokens, const mx::array& h) const {
  if (!layer_inputs_) return {};
  return (*layer_inputs_)(tokens, h);
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
                              const std::optional<Norm>& norm, float scale) const {
  if (config_.residual_scale == 1)
    return norm ? (*norm)(last(x), {h, scale}) : times(last.add_to(h, x), scale);
  const auto y = last(x);
  return times(h + times(norm ? (*norm)(y) : y, config_.residual_scale), scale);
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
  const auto& layout = state.in_window_pages(i) ? *step.window_layout : step.layout;
  return add_branch(h, layer.self_attn->o_proj,
                    (*layer.self_attn)(x, rows[static_cast<std::size_t>(layer.kind)], layout,
                                       state.keys(i), state.values(i)),
                    layer.attention_output);
}

mx::array Decoder::run(mx::array h, std::optional<mx::array>& input, std::size_t i,
                       const DecoderStep& step, const std::vector<kernels::RowPositions>& rows,
                       ModelState& state) const {
  const auto& layer = layers_[i];
  const auto normed = [&](const std::optional<Norm>& norm) { return norm ? (*norm)(h) : h; };
  if (!is_beside(config_, i)) input = normed(layer.attention_input);
  const auto x = *input;
  if (layer.kind != no_mixer) h = mix(h, x, i, step, rows, state);
  if (const auto& laurel = layer.laurel)
    h = laurel->norm(laurel->right(laurel->left(x)), {h + x, 1 / std::numbers::sqrt2_v<float>});
  const bool last_is_mlp = !layer.layer_input || layer.altup;
  if (layer.mlp)
    h = add_branch(h, *layer.mlp, config_.parallel ? x : normed(layer.mlp_input), layer.mlp_output,
                   last_is_mlp ? layer.scale : 1);
  return last_is_mlp ? h : layer.layer_input->add_to(h, *step.layer_inputs, layer.scale);
}

mx::array Decoder::run_streams(const mx::array& streams, std::size_t i, const DecoderStep& step,
                               const std::vector<kernels::RowPositions>& rows,
                               ModelState& state) const {
  const auto& layer = layers_[i];
  const auto predictions = layer.altup->predict(streams);
  std::optional<mx::array> input;
  const auto corrected = layer.altup->correct(
      predictions, run(layer.altup->active(predictions), input, i, step, rows, state));
  if (!layer.layer_input) return corrected;
  return layer.altup->add_to_others(
      corrected, (*layer.layer_input)(layer.altup->output(corrected), *step.layer_inputs));
}

mx::array Decoder::forward(mx::array h, const DecoderStep& step, ModelState& state) const {
  const auto rows = row_positions(step);
  if (altup_) h = altup_->widen(h);
  std::optional<mx::array> input;
  for (std::size_t i = 0; i < layers_.size(); ++i) {
    h = altup_ ? run_streams(h, i, step, rows, state)
               : run(std::move(h), input, i, step, rows, state);
    if (step.after_layer) h = step.after_layer(std::move(h), i);
  }
  return altup_ ? altup_->narrow(h) : h;
}

mx::array Decoder::logits(const mx::array& h) const {
  const auto x = times(mx::astype(lm_head_(norm_(h)), mx::float32), config_.logit_scale);
  return config_.logit_softcap == 0 ? x : kernels::softcap(x, config_.logit_softcap, cpu_);
}

}  // namespace pippin::nn
