// Ling and Ring: fused projections, a router with groups and a correction, shared experts, dense first layers. Reference:
// mlx-lm models/bailing_moe.py; transformers has the family by remote code.
#include "models/decoder_model.h"
#include "models/families.h"

namespace pippin::models {
namespace {

kernels::RouterScores read_scores(ConfigFields& fields) {
  const auto name = fields.text_or("score_function", "softmax");
  if (name != "softmax" && name != "sigmoid")
    fields.refuse("score_function", "'" + name + "' is not supported");
  return name == "sigmoid" ? kernels::RouterScores::sigmoid : kernels::RouterScores::softmax;
}

nn::MoeConfig read_bailing_moe(ConfigFields& fields) {
  auto moe = read_moe(fields, "num_experts", fields.size("moe_intermediate_size"));
  moe.router.scores = read_scores(fields);
  moe.correction = fields.flag_or("moe_router_enable_expert_bias", false);
  moe.router.normalize = moe.router.top_k > 1 && fields.flag_or("norm_topk_prob", true);
  moe.router.scale = fields.number_or("routed_scaling_factor", 1);
  moe.router.groups = fields.size_or("n_group", 1);
  moe.router.kept_groups = moe.router.groups > 1 ? fields.size_or("topk_group", 4) : 1;
  fields.integer_or("topk_group", 1);
  check_router_groups(fields, moe, "num_experts");
  const auto shared = fields.integer_or("num_shared_experts", 0);
  if (shared > 0 && fields.flag_or("moe_router_enable_shared_expert", true))
    moe.shared_width =
        static_cast<int>(shared) * fields.size_or("moe_shared_expert_intermediate_size", moe.width);
  return moe;
}

}  // namespace

std::unique_ptr<Model> load_bailing_moe(const std::filesystem::path& model_dir,
                                        const json::object& config,
                                        const nn::LoadOptions& options) {
  ConfigFields fields(config, "");
  auto decoder = read_decoder(fields);
  auto& attention = decoder.kinds.front();
  attention.qkv_bias = fields.flag_or("use_qkv_bias", false);
  if (fields.flag_or("use_bias", false)) fields.refuse("use_bias", "must be false");
  if (fields.flag_or("norm_head", false)) fields.refuse("norm_head", "must be false");
  if (fields.flag_or("use_qk_norm", false)) attention.norms = cpu::HeadNorms::each_head;
  decoder.activation = fields.activation("hidden_act", "silu");
  decoder.tied = fields.flag_or("tie_word_embeddings", false);
  const int turned = fields.size_or("rotary_dim", fields.rotary_dims(attention.head_dim));
  decoder.ropes = {nn::make_rope(fields.rope(turned, 10000.0))};
  decoder.moe = read_bailing_moe(fields);
  const auto dense = static_cast<std::size_t>(fields.integer_or("first_k_dense_replace", 0));
  for (std::size_t i = 0; i < decoder.layers.size(); ++i) decoder.routed.push_back(i >= dense);
  const auto beyond = "model.layers." + std::to_string(decoder.layers.size()) + ".";
  const auto rename = [&](const std::string& name) {
    if (name.starts_with(beyond)) return std::string();  // predicts ahead
    return replaced(name, {{"model.word_embeddings.", "model.embed_tokens."},
                           {".attention.", ".self_attn."},
                           {".dense.", ".o_proj."},
                           {".query_layernorm.", ".q_norm."},
                           {".key_layernorm.", ".k_norm."},
                           {".mlp.gate.expert_bias", ".mlp.router.correction"},
                           {".mlp.gate.gate_proj.", ".mlp.router."},
                           {".mlp.gate.", ".mlp.router."},
                           {".mlp.switch_mlp.", ".mlp.experts."},
                           {".mlp.shared_experts.", ".mlp.shared_expert."}});
  };
  const int heads = attention.num_heads * attention.head_dim,
            key_heads = attention.num_kv_heads * attention.head_dim;
  return load_text_model(model_dir, config, fields, decoder, options, rename,
                         split_modules({{".self_attn.query_key_value.",
                                         {{".self_attn.q_proj.", heads},
                                          {".self_attn.k_proj.", key_heads},
                                          {".self_attn.v_proj.", key_heads}}}}));
}

}  // namespace pippin::models
