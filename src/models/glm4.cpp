// GLM-4 0414, and GLM-4.5, 4.6 and 4.7 with experts. Reference: transformers models/glm4 and models/glm4_moe, mlx-lm
// models/glm4.py and glm4_moe.py.
#include "models/decoder_model.h"
#include "models/families.h"

namespace pippin::models {
std::unique_ptr<Model> load_glm4(const std::filesystem::path& model_dir, const json::object& config,
                                 const nn::LoadOptions& options) {
  ConfigFields fields(config, "");
  auto decoder = read_decoder(fields);
  auto& attention = decoder.kinds.front();
  attention.qkv_bias = fields.flag_or("attention_bias", false);
  decoder.activation = fields.activation("hidden_act", "silu");
  decoder.tied = fields.flag_or("tie_word_embeddings", false);
  decoder.norms = {"input_layernorm", "post_self_attn_layernorm", "post_attention_layernorm",
                   "post_mlp_layernorm"};
  auto rope = fields.rope(fields.rotary_dims(attention.head_dim, 0.5), 10000.0);
  rope.interleaved = fields.flag_or("rope_traditional", true);
  decoder.ropes = {nn::make_rope(rope)};
  return load_text_model(model_dir, config, fields, decoder, options, {},
                         split_modules({gate_up_of(decoder)}));
}

std::unique_ptr<Model> load_glm4_moe(const std::filesystem::path& model_dir,
                                     const json::object& config, const nn::LoadOptions& options) {
  ConfigFields fields(config, "");
  auto decoder = read_decoder(fields);
  auto& attention = decoder.kinds.front();
  attention.qkv_bias = fields.flag_or("attention_bias", false);
  if (fields.flag_or("use_qk_norm", false)) attention.norms = cpu::HeadNorms::each_head;
  decoder.activation = fields.activation("hidden_act", "silu");
  decoder.tied = fields.flag_or("tie_word_embeddings", false);
  decoder.ropes = {nn::make_rope(fields.rope(fields.rotary_dims(attention.head_dim), 10000.0))};
  decoder.moe = read_grouped_moe(fields);
  const auto first = static_cast<std::size_t>(fields.integer_or("first_k_dense_replace", 0));
  for (std::size_t i = 0; i < decoder.layers.size(); ++i) decoder.routed.push_back(i >= first);
  const auto rename = [&](const std::string& name) {
    return grouped_moe_tensor(name, decoder.layers.size());
  };
  return load_text_model(model_dir, config, fields, decoder, options, rename);
}

}  // namespace pippin::models
