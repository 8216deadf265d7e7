// Granite 3 and 4, dense, with experts, with Mamba-2. Reference: transformers models/granite, models/granitemoe and
// models/granitemoehybrid, mlx-lm models/granite.py, granitemoe.py and granitemoehybrid.py.
#include <utility>

#include "models/decoder_model.h"
#include "models/families.h"

namespace pippin::models {
namespace {

void read_multipliers(ConfigFields& fields, nn::DecoderConfig& config) {
  config.kinds.front().scale = fields.number_or("attention_multiplier", 1);
  config.embedding_scale = fields.number_or("embedding_multiplier", 1);
  config.residual_scale = fields.number_or("residual_multiplier", 1);
  config.logit_scale = 1 / fields.number_or("logits_scaling", 1);
}

nn::DecoderConfig granite_decoder(ConfigFields& fields) {
  auto config = llama_decoder(fields);
  read_multipliers(fields, config);
  return config;
}

nn::Mamba2Config read_granite_mamba(ConfigFields& fields, float norm_eps) {
  nn::Mamba2Config c;
  c.heads = fields.size("mamba_n_heads");
  c.head_dim = fields.size("mamba_d_head");
  c.groups = fields.size_or("mamba_n_groups", 1);
  c.state_dim = fields.size("mamba_d_state");
  c.taps = fields.size_or("mamba_d_conv", 4);
  c.conv_bias = fields.flag_or("mamba_conv_bias", true);
  c.proj_bias = fields.flag_or("mamba_proj_bias", false);
  c.norm_eps = norm_eps;
  read_step_limit(fields, c);
  check_mamba2(fields, c, "mamba_n_groups", "mamba_d_state", "mamba_d_conv");
  return c;
}

void read_mixers(ConfigFields& fields, nn::DecoderConfig& config) {
  const auto types = fields.strings("layer_types");
  if (types.size() != config.layers.size())
    fields.refuse("layer_types", "must name " + std::to_string(config.layers.size()) + " layers");
  for (std::size_t i = 0; i < types.size(); ++i) {
    if (types[i] == "mamba")
      config.layers[i] = nn::recurrent_layer;
    else if (types[i] != "attention")
      fields.refuse("layer_types", "'" + types[i] + "' is not supported");
  }
  if (config.layers != std::vector<int>(types.size(), 0))
    config.mamba2 = read_granite_mamba(fields, config.norm_eps);
}

nn::DecoderConfig granite_hybrid_decoder(ConfigFields& fields) {
  const bool experts = fields.members().integer_or("num_local_experts", 0) > 0;
  const bool shared = fields.members().find("shared_intermediate_size") != nullptr;
  auto config =
      read_decoder(fields, experts || !shared ? "intermediate_size" : "shared_intermediate_size");
  auto& attention = config.kinds.front();
  attention.qkv_bias = attention.output_bias = fields.flag_or("attention_bias", false);
  config.activation = fields.activation("hidden_act", "silu");
  fields.expect("normalization_function", "rmsnorm");
  config.tied = fields.flag_or("tie_word_embeddings", true);
  const auto positions = fields.text_or("position_embedding_type", "rope");
  if (positions == "rope")
    config.ropes = {nn::make_rope(fields.rope(attention.head_dim, 10000.0))};
  else if (positions == "nope")
    attention.rope = -1;
  else
    fields.refuse("position_embedding_type", "'" + positions + "' is not supported");
  if (attention.rope < 0) fields.rope(attention.head_dim, 10000.0);  // of no matter
  read_multipliers(fields, config);
  read_mixers(fields, config);
  if (!experts) {
    config.mlp_bias = fields.flag_or("mlp_bias", false);
    return config;
  }
  auto moe = read_moe(fields, "num_local_experts", config.intermediate_size);
  moe.router.scores = kernels::RouterScores::softmax_of_chosen;
  moe.shared_width = fields.size("shared_intermediate_size");
  config.moe = moe;
  return config;
}

// A gated MLP stored as two modules.
FusedModule input_linear(const char* theirs, const char* gate, const char* up, int width) {
  return {theirs, {{gate, width}, {up, width}}};
}

}  // namespace

std::unique_ptr<Model> load_granite(const std::filesystem::path& model_dir,
                                    const json::object& config, const nn::LoadOptions& options) {
  ConfigFields fields(config, "");
  const auto decoder = granite_decoder(fields);
  return load_text_model(model_dir, config, fields, decoder, options);
}

// Hugging Face stores gates and ups as one bank, input_linear.
std::unique_ptr<Model> load_granitemoe(const std::filesystem::path& model_dir,
                                       const json::object& config, const nn::LoadOptions& options) {
  ConfigFields fields(config, "");
  auto decoder = granite_decoder(fields);
  auto moe = read_moe(fields, "num_local_experts", decoder.intermediate_size);
  moe.router.scores = kernels::RouterScores::softmax_of_chosen;
  decoder.moe = moe;
  const auto rename = [](const std::string& name) {
    return replaced(name, {{".block_sparse_moe.router.layer.", ".mlp.router."},
                           {".block_sparse_moe.output_linear.", ".mlp.experts.down_proj."},
                           {".block_sparse_moe.switch_mlp.", ".mlp.experts."}});
  };
  const int width = moe.width;
  return load_text_model(
      model_dir, config, fields, decoder, options, rename,
      split_modules({{".block_sparse_moe.input_linear.",
                      {{".mlp.experts.gate_proj.", width}, {".mlp.experts.up_proj.", width}}}}));
}

std::unique_ptr<Model> load_granitemoehybrid(const std::filesystem::path& model_dir,
                                             const json::object& config,
                                             const nn::LoadOptions& options) {
  ConfigFields fields(config, "");
  const auto decoder = granite_hybrid_decoder(fields);
  const bool experts = decoder.moe.has_value();
  const auto rename = [&](const std::string& name) {
    return replaced(name, {{".block_sparse_moe.router.layer.", ".mlp.router."},
                           {".block_sparse_moe.output_linear.", ".mlp.experts.down_proj."},
                           {".block_sparse_moe.switch_mlp.", ".mlp.experts."},
                           {".shared_mlp.", experts ? ".mlp.shared_expert." : ".mlp."},
                           {".output_linear.", ".down_proj."}});
  };
  std::vector<FusedModule> fused = {input_linear(".mlp.input_linear.", ".mlp.gate_proj.",
                                                 ".mlp.up_proj.", decoder.intermediate_size)};
  if (experts)
    fused = {input_linear(".block_sparse_moe.input_linear.", ".mlp.experts.gate_proj.",
                          ".mlp.experts.up_proj.", decoder.moe->width),
             input_linear(".shared_expert.input_linear.", ".shared_expert.gate_proj.",
                          ".shared_expert.up_proj.", decoder.moe->shared_width)};
  return load_text_model(model_dir, config, fields, decoder, options, rename,
                         split_modules(std::move(fused)));
}

}  // namespace pippin::models
