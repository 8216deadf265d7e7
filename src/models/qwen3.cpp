#include "models/qwen3.h"

#include <cmath>

namespace pippin::models {
namespace {

nn::Linear load_lm_head(const DecoderConfig& config, nn::Checkpoint& checkpoint,
                        const nn::Embedding& embedding) {
  if (config.tie_word_embeddings) return embedding.as_linear();
  return nn::Linear::load(checkpoint, "lm_head", config.hidden_size, config.vocab_size);
}

// Lays each picture's embeddings over its placeholders' rows.
mx::array place_media(mx::array h, const std::vector<MediaRows>& media) {
  for (const auto& m : media)
    h = mx::scatter(h, m.rows, mx::expand_dims(mx::astype(m.features.embeddings, h.dtype()), 1), 0);
  return h;
}

// DeepStack: the vision tower's intermediate features join after the first text layers.
mx::array add_deepstack(mx::array h, const std::vector<MediaRows>& media, std::size_t layer) {
  for (const auto& m : media)
    if (layer < m.features.deepstack.size())
      h = mx::scatter_add(
          h, m.rows, mx::expand_dims(mx::astype(m.features.deepstack[layer], h.dtype()), 1), 0);
  return h;
}

}  // namespace

Qwen3Decoder::Attention::Attention(const DecoderConfig& c, nn::Checkpoint& checkpoint,
                                   const std::string& name)
    : num_heads_(c.num_attention_heads),
      num_kv_heads_(c.num_key_value_heads),
      head_dim_(c.head_dim),
      qkv_proj_(
          {nn::Linear::load(checkpoint, name + ".q_proj", c.hidden_size, num_heads_ * head_dim_),
           nn::Linear::load(checkpoint, name + ".k_proj", c.hidden_size, num_kv_heads_ * head_dim_),
           nn::Linear::load(checkpoint, name + ".v_proj", c.hidden_size,
                            num_kv_heads_ * head_dim_)}),
      o_proj_(
          nn::Linear::load(checkpoint, name + ".o_proj", num_heads_ * head_dim_, c.hidden_size)),
      q_norm_(nn::RmsNorm::load(checkpoint, name + ".q_norm", head_dim_, c.rms_norm_eps)),
      k_norm_(nn::RmsNorm::load(checkpoint, name + ".k_norm", head_dim_, c.rms_norm_eps)) {}

mx::array Qwen3Decoder::Attention::operator()(const mx::array& residual, const mx::array& x,
                                              const kernels::RopeAngles& angles,
                                              const kernels::PagedLayout& layout, mx::array& k_pool,
                                              mx::array& v_pool) const {
  const kernels::AttentionSpec spec = {
      {num_heads_, num_kv_heads_, head_dim_},
      {.scale = 1.0f / std::sqrt(static_cast<float>(head_dim_))},
      {.q = q_norm_.weight(), .k = k_norm_.weight(), .eps = q_norm_.eps()}};
  return o_proj_.add_to(
      residual, kernels::causal_attention(qkv_proj_(x), spec, {angles}, k_pool, v_pool, layout));
}

Qwen3Decoder::MLP::MLP(const DecoderConfig& c, nn::Checkpoint& checkpoint, const std::string& name)
    : gate_up_proj_(
          nn::Linear::load(checkpoint, name + ".gate_proj", c.hidden_size, c.intermediate_size),
          nn::Linear::load(checkpoint, name + ".up_proj", c.hidden_size, c.intermediate_size)),
      down_proj_(
          nn::Linear::load(checkpoint, name + ".down_proj", c.intermediate_size, c.hidden_size)) {}

mx::array Qwen3Decoder::MLP::operator()(const mx::array& residual, const mx::array& x) const {
  return down_proj_.add_to(residual, gate_up_proj_(x));
}

Qwen3Decoder::Block::Block(const DecoderConfig& c, nn::Checkpoint& checkpoint,
                           const std::string& name)
    : input_layernorm(
          nn::RmsNorm::load(checkpoint, name + ".input_layernorm", c.hidden_size, c.rms_norm_eps)),
      self_attn(c, checkpoint, name + ".self_attn"),
      post_attention_layernorm(nn::RmsNorm::load(checkpoint, name + ".post_attention_layernorm",
                                                 c.hidden_size, c.rms_norm_eps)),
      mlp(c, checkpoint, name + ".mlp") {}

Qwen3Decoder::Qwen3Decoder(const DecoderConfig& config, nn::Checkpoint& checkpoint)
    : config_(config),
      embed_tokens_(nn::Embedding::load(checkpoint, "model.embed_tokens", config.vocab_size,
                                        config.hidden_size)),
      norm_(nn::RmsNorm::load(checkpoint, "model.norm", config.hidden_size, config.rms_norm_eps)),
      lm_head_(load_lm_head(config, checkpoint, embed_tokens_)) {
  for (int i = 0; i < config.num_hidden_layers; ++i)
    layers_.emplace_back(config, checkpoint, "model.layers." + std::to_string(i));
}

mx::array Qwen3Decoder::forward(const StepInput& input, nn::KVCache& cache) const {
  auto rope = kernels::plain_rope(config_.head_dim, config_.rope_theta);
  rope.sections = config_.mrope_section;
  const auto angles = kernels::rope_angles(input.positions, input.text_positions, rope);
  auto h = place_media(embed_tokens_(input.tokens), input.media);
  for (std::size_t i = 0; i < layers_.size(); ++i) {
    const auto& layer = layers_[i];
    h = layer.self_attn(h, layer.input_layernorm(h), angles, input.layout, cache.keys[i],
                        cache.values[i]);
    h = layer.mlp(h, layer.post_attention_layernorm(h));
    h = add_deepstack(h, input.media, i);
  }
  // Only the wanted rows go through the output layer, the largest matrix of a small model.
  return mx::astype(lm_head_(norm_(mx::take(h, input.logit_rows, 0))), mx::float32);
}

namespace {

class Qwen3 final : public Model {
 public:
  Qwen3(ModelTraits traits, const DecoderConfig& config, nn::Checkpoint& checkpoint)
      : traits_(std::move(traits)), decoder_(config, checkpoint), size_(checkpoint.size()) {}

  const ModelTraits& traits() const override { return traits_; }
  std::int64_t num_parameters() const override { return size_.num_parameters; }
  std::int64_t weight_bytes() const override { return size_.bytes; }
  mx::array forward(const StepInput& input, nn::KVCache& cache) const override {
    return decoder_.forward(input, cache);
  }

 private:
  ModelTraits traits_;
  Qwen3Decoder decoder_;
  nn::CheckpointSize size_;
};

// A tied checkpoint may still carry its output layer; old ones carry the rotary frequencies.
std::string sanitize(const std::string& name, bool tied) {
  if (tied && name.starts_with("lm_head.")) return "";
  if (name.ends_with(".rotary_emb.inv_freq")) return "";
  return name;
}

}  // namespace

ModelTraits decoder_traits(const std::filesystem::path& model_dir,
                           const boost::json::object& config, const DecoderConfig& decoder) {
  ModelTraits traits;
  traits.vocab_size = decoder.vocab_size;
  traits.num_layers = decoder.num_hidden_layers;
  traits.num_kv_heads = decoder.num_key_value_heads;
  traits.head_dim = decoder.head_dim;
  traits.max_context = decoder.max_position_embeddings;
  traits.end_tokens = read_end_tokens(model_dir, config);
  return traits;
}

std::unique_ptr<Model> load_qwen3(const std::filesystem::path& model_dir,
                                  const boost::json::object& json, const nn::LoadOptions& options) {
  const auto config = DecoderConfig::from_json(json, "");
  auto traits = decoder_traits(model_dir, json, config);
  traits.model_type = "qwen3";
  const auto rename = [&](const std::string& name) {
    return sanitize(name, config.tie_word_embeddings);
  };
  nn::Checkpoint checkpoint(model_dir, nn::QuantizationConfig::from_json(json), rename, options);
  auto model = std::make_unique<Qwen3>(std::move(traits), config, checkpoint);
  checkpoint.check_empty();
  return model;
}

}  // namespace pippin::models
