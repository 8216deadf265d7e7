// Multi-head latent attention: DeepSeek-V2 and V3, Kimi K2, GLM-4.7-Flash and Mistral Small 4's text part. Reference: mlx-lm
// models/deepseek_v2.py, deepseek_v3.py, glm4_moe_lite.py and mistral4.py, transformers models/deepseek_v2 and deepseek_v3.
#include <cmath>
#include <string>

#include "models/decoder_model.h"
#include "models/families.h"

namespace pippin::models {
namespace {

// Null says that queries have no latent; an absent field says nothing, and the reference's default is of no use.
int read_query_rank(ConfigFields& fields) {
  if (!fields.members().has("q_lora_rank"))
    fields.refuse("q_lora_rank", "is missing; null where queries come from the hidden state");
  return fields.members().find("q_lora_rank") ? fields.size("q_lora_rank") : 0;
}

// YaRN's factor of scores, which is that of queries and keys to the square.
float score_factor(const ConfigFields& fields) {
  const auto* object = fields.rope_object();
  if (!object) return 1;
  const Members rope(*object);
  const double share = rope.number_or("mscale_all_dim", 0), factor = rope.number_or("factor", 1);
  const auto type = rope.string("rope_type").value_or(rope.string("type").value_or("default"));
  if (share == 0 || factor <= 1 || type == "default") return 1;
  const double of_each = 0.1 * share * std::log(factor) + 1;
  return static_cast<float>(of_each * of_each);
}

nn::LatentConfig read_latent(ConfigFields& fields, float norm_eps) {
  nn::LatentConfig latent;
  latent.query_rank = read_query_rank(fields);
  latent.latent_dim = fields.size("kv_lora_rank");
  latent.rotary_dim = fields.size("qk_rope_head_dim");
  latent.plain_dim = fields.size("qk_nope_head_dim");
  latent.value_dim = fields.size("v_head_dim");
  latent.norm_eps = norm_eps;
  latent.bias = fields.flag_or("attention_bias", false);
  if (latent.rotary_dim % 2 != 0) fields.refuse("qk_rope_head_dim", "must be even");
  return latent;
}

// Dense layers first, then every moe_layer_freq-th has experts.
std::vector<bool> read_routed(ConfigFields& fields, std::size_t num_layers) {
  const auto first = static_cast<std::size_t>(fields.integer_or("first_k_dense_replace", 0)),
             each = static_cast<std::size_t>(fields.size_or("moe_layer_freq", 1));
  std::vector<bool> routed;
  for (std::size_t i = 0; i < num_layers; ++i) routed.push_back(i >= first && i % each == 0);
  return routed;
}

/// What the families differ in.
struct Differences {
  /// The router; absent: DeepSeek-V3's.
  nn::MoeConfig (*read_router)(ConfigFields&) = read_grouped_moe;
  bool own_norm_eps = false;  ///< of the latents' norms; else that of rms_norm_eps
  double theta = 10000.0;
};

nn::DecoderConfig latent_decoder(ConfigFields& fields, const Differences& family) {
  auto decoder = read_sizes(fields);
  nn::AttentionConfig attention;
  attention.num_heads = fields.size("num_attention_heads");
  attention.latent = read_latent(fields, family.own_norm_eps ? 1e-6f : decoder.norm_eps);
  const auto& latent = *attention.latent;
  attention.output_bias = latent.bias;
  attention.scale =
      score_factor(fields) / std::sqrt(static_cast<float>(latent.plain_dim + latent.rotary_dim));
  decoder.kinds = {attention};
  decoder.activation = fields.activation("hidden_act", "silu");
  decoder.tied = fields.flag_or("tie_word_embeddings", false);
  auto rope = fields.rope(latent.rotary_dim, family.theta);
  rope.interleaved = fields.flag_or("rope_interleave", true);
  decoder.ropes = {nn::make_rope(rope)};
  decoder.routed = read_routed(fields, decoder.layers.size());
  if (fields.members().find("n_routed_experts")) decoder.moe = family.read_router(fields);
  return decoder;
}

std::unique_ptr<Model> load_latent(const std::filesystem::path& model_dir,
                                   const json::object& config, const nn::LoadOptions& options,
                                   const Differences& family) {
  ConfigFields fields(config, "");
  const auto decoder = latent_decoder(fields, family);
  return load_text_model(model_dir, config, fields, decoder, options, [&](const std::string& name) {
    return grouped_moe_tensor(name, decoder.layers.size());
  });
}

// DeepSeek-V2: softmax over all experts; a group is as good as its best.
nn::MoeConfig read_v2_router(ConfigFields& fields) {
  auto moe = read_moe(fields, "n_routed_experts", fields.size("moe_intermediate_size"));
  fields.expect("scoring_func", "softmax");
  const auto method = fields.text_or("topk_method", "greedy");
  const bool grouped = method == "group_limited_greedy";
  if (!grouped && method != "greedy" && method != "gready")
    fields.refuse("topk_method", "'" + method + "' is not supported");
  read_router_groups(fields, moe);
  if (!grouped) moe.router.groups = moe.router.kept_groups = 1;
  moe.router.group_best = 1;
  return moe;
}

// Mistral Small 4: softmax without a correction, groups as DeepSeek-V3 has them.
nn::MoeConfig read_mistral4_router(ConfigFields& fields) {
  auto moe = read_moe(fields, "n_routed_experts", fields.size("moe_intermediate_size"));
  moe.router.normalize = fields.flag_or("norm_topk_prob", true);
  read_router_groups(fields, moe);
  return moe;
}

// Banks of experts have no suffix, gates and ups in one.
std::string mistral4_tensor(const std::string& name, std::size_t num_layers) {
  const bool bank =
      name.ends_with(".mlp.experts.gate_up_proj") || name.ends_with(".mlp.experts.down_proj");
  return grouped_moe_tensor(bank ? name + ".weight" : name, num_layers);
}

}  // namespace

std::unique_ptr<Model> load_deepseek_v2(const std::filesystem::path& model_dir,
                                        const json::object& config,
                                        const nn::LoadOptions& options) {
  return load_latent(model_dir, config, options, {read_v2_router, true});
}

std::unique_ptr<Model> load_deepseek_v3(const std::filesystem::path& model_dir,
                                        const json::object& config,
                                        const nn::LoadOptions& options) {
  return load_latent(model_dir, config, options, {.own_norm_eps = true});
}

std::unique_ptr<Model> load_glm4_moe_lite(const std::filesystem::path& model_dir,
                                          const json::object& config,
                                          const nn::LoadOptions& options) {
  return load_latent(model_dir, config, options, {.theta = 1000000.0});
}

std::unique_ptr<Model> load_mistral4_text(const std::filesystem::path& model_dir,
                                          const json::object& config, ConfigFields& fields,
                                          const nn::LoadOptions& options,
                                          const nn::RenameFn& rename) {
  auto decoder = latent_decoder(fields, {read_mistral4_router, true});
  decoder.kinds.front().query_scale = read_query_scale(fields);
  const auto ours = [&](const std::string& name) {
    return mistral4_tensor(rename(name), decoder.layers.size());
  };
  const int width = decoder.moe ? decoder.moe->width : 0;
  return load_text_model(
      model_dir, config, fields, decoder, options, ours,
      split_modules({{".mlp.experts.gate_up_proj.",
                      {{".mlp.experts.gate_proj.", width}, {".mlp.experts.up_proj.", width}}}}));
}

std::unique_ptr<Model> load_mistral4(const std::filesystem::path& model_dir,
                                     const json::object& config, const nn::LoadOptions& options) {
  ConfigFields fields(config, "");
  return load_mistral4_text(model_dir, config, fields, options,
                            [](const std::string& name) { return name; });
}

}  // namespace pippin::models
