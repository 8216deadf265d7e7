// GLM-4 0414, and GLM-4.5, 4.6 and 4.7 with experts. Reference: transformers models/glm4 and models/glm4_moe, mlx-lm
// models/glm4.py and glm4_moe.py.
#include "models/decoder_model.h"
#include "models/families.h"

namespace pippin::models {
namespace {

// DeepSeek-V3's router, which is GLM's, too.
nn::MoeConfig read_grouped_moe(ConfigFields& fields) {
  auto moe = read_moe(fields, "n_routed_experts", fields.size("moe_intermediate_size"));
  fields.expect("scoring_func", "sigmoid");
  fields.expect("topk_method", "noaux_tc");
  moe.correction = true;
  moe.router.scores = kernels::RouterScores::sigmoid;
  moe.router.normalize = moe.router.top_k > 1 && fields.flag_or("norm_topk_prob", true);
  moe.router.scale = fields.number_or("routed_scaling_factor", 1);
  moe.router.groups = fields.size_or("n_group", 1);
  moe.router.kept_groups = fields.size_or("topk_group", 1);
  if (moe.router.num_experts % moe.router.groups != 0 || moe.router.kept_groups > moe.router.groups)
    fields.refuse("n_group", "must divide n_routed_experts and be at least topk_group");
  if (moe.router.num_experts / moe.router.groups * moe.router.kept_groups < moe.router.top_k)
    fields.refuse("topk_group", "leaves fewer experts than num_experts_per_tok");
  if (fields.members().find("n_shared_experts"))
    moe.shared_width = moe.width * fields.size("n_shared_experts");
  return moe;
}

}  // namespace

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
  // Layers after the last predict tokens ahead.
  const auto beyond = "model.layers." + std::to_string(decoder.layers.size()) + ".";
  const auto rename = [&](const std::string& name) {
    if (name.starts_with(beyond)) return std::string();
    return replaced(name, {{".mlp.gate.e_score_correction_bias", ".mlp.router.correction"},
                           {".mlp.gate.", ".mlp.router."},
                           {".mlp.switch_mlp.", ".mlp.experts."},
                           {".mlp.shared_experts.", ".mlp.shared_expert."}});
  };
  return load_text_model(model_dir, config, fields, decoder, options, rename);
}

}  // namespace pippin::models
