// Nemotron-H, Nemotron Nano 2 and Nemotron 3: layers of one branch each, which is Mamba-2, attention without rotation, an MLP or
// experts. Reference: transformers models/nemotron_h, mlx-lm models/nemotron_h.py.
#include <cmath>

#include "models/decoder_model.h"
#include "models/families.h"

namespace pippin::models {
namespace {

/// What a layer is, by the letters of hybrid_override_pattern.
enum class Branch : char { mamba = 'M', attention = '*', mlp = '-', experts = 'E' };

Branch branch_of(ConfigFields& fields, const char* key, const std::string& name) {
  static constexpr std::pair<const char*, Branch> names[] = {{"M", Branch::mamba},
                                                             {"*", Branch::attention},
                                                             {"-", Branch::mlp},
                                                             {"E", Branch::experts},
                                                             {"mamba", Branch::mamba},
                                                             {"linear_attention", Branch::mamba},
                                                             {"attention", Branch::attention},
                                                             {"full_attention", Branch::attention},
                                                             {"mlp", Branch::mlp},
                                                             {"moe", Branch::experts}};
  for (const auto& [known, branch] : names)
    if (name == known) return branch;
  fields.refuse(key, "'" + name + "' is not supported");
}

// A string of letters, or a list of them or of words.
std::vector<Branch> read_branches(ConfigFields& fields) {
  const char* key = "hybrid_override_pattern";
  std::vector<Branch> branches;
  if (const auto* pattern = fields.members().find(key); pattern && pattern->is_string()) {
    for (const char letter : fields.text_or(key, ""))
      branches.push_back(branch_of(fields, key, {letter}));
    fields.strings("layer_types");  // newer configs say both
    return branches;
  }
  for (const char* list : {key, "layers_block_type", "layer_types"})
    if (fields.members().find(list)) {
      key = list;
      break;
    }
  for (const auto& name : fields.strings(key)) branches.push_back(branch_of(fields, key, name));
  if (branches.empty()) fields.refuse(key, "is missing");
  return branches;
}

nn::Mamba2Config read_mamba2(ConfigFields& fields, float norm_eps) {
  nn::Mamba2Config c;
  c.heads = fields.size("mamba_num_heads");
  c.head_dim = fields.size("mamba_head_dim");
  c.groups = c.norm_groups = fields.size("n_groups");
  c.state_dim = fields.size("ssm_state_size");
  c.taps = fields.size_or("conv_kernel", 4);
  c.conv_bias = fields.flag_or("use_conv_bias", true);
  c.proj_bias = fields.flag_or("mamba_proj_bias", false);
  c.norm_eps = norm_eps;
  fields.expect("mamba_hidden_act", "silu");
  if (fields.flag_or("use_bias", c.proj_bias) != c.proj_bias)
    fields.refuse("use_bias", "must be mamba_proj_bias");
  read_step_limit(fields, c);
  check_mamba2(fields, c, "n_groups", "ssm_state_size", "conv_kernel");
  return c;
}

nn::MoeConfig read_experts(ConfigFields& fields) {
  if (fields.flag_or("mlp_bias", false)) fields.refuse("mlp_bias", "is not supported of experts");
  auto moe = read_grouped_moe(fields);
  moe.shared_width = fields.members().find("n_shared_experts")
                         ? fields.size("moe_shared_expert_intermediate_size")
                         : 0;
  moe.latent_width = static_cast<int>(fields.integer_or("moe_latent_size", 0));
  return moe;
}

// `name` as nn::Decoder has it: the branch's own norm and module.
std::string decoder_name(const std::string& name, const std::vector<Branch>& branches) {
  if (name.starts_with("mtp.")) return "";  // predicts ahead
  static const std::string layers = "backbone.layers.";
  if (!name.starts_with(layers))
    return replaced(name, {{"backbone.embeddings.", "model.embed_tokens."},
                           {"backbone.norm_f.", "model.norm."}});
  const auto dot = name.find('.', layers.size());
  const auto layer = static_cast<std::size_t>(std::atoi(name.c_str() + layers.size()));
  if (dot == std::string::npos || layer >= branches.size()) return name;
  const bool mixer = branches[layer] == Branch::mamba || branches[layer] == Branch::attention;
  const char* module = branches[layer] == Branch::mamba ? ".mamba."
                       : mixer                          ? ".self_attn."
                                                        : ".mlp.";
  const auto prefix = "model.layers." + std::to_string(layer);
  const auto rest = replaced(
      name.substr(dot), {{".norm.", mixer ? ".input_layernorm." : ".post_attention_layernorm."}});
  if (!name.substr(dot).starts_with(".mixer.")) return prefix + rest;
  return prefix + replaced(name.substr(dot),
                           {{".mixer.", module},
                            {".mlp.gate.e_score_correction_bias", ".mlp.router.correction"},
                            {".mlp.gate.", ".mlp.router."},
                            {".switch_mlp.fc1.", ".experts.up_proj."},
                            {".switch_mlp.fc2.", ".experts.down_proj."},
                            {".shared_experts.", ".shared_expert."},
                            {".fc1_latent_proj.", ".latent_in."},
                            {".fc2_latent_proj.", ".latent_out."}});
}

}  // namespace

std::unique_ptr<Model> load_nemotron_h(const std::filesystem::path& model_dir,
                                       const json::object& config, const nn::LoadOptions& options) {
  ConfigFields fields(config, "");
  const auto branches = read_branches(fields);
  auto decoder = read_decoder(fields, "intermediate_size", branches.size());
  decoder.norm_eps = fields.number_or("layer_norm_epsilon", fields.number_or("norm_eps", 1e-5));
  auto& attention = decoder.kinds.front();
  attention.rope = -1;
  attention.qkv_bias = attention.output_bias = fields.flag_or("attention_bias", false);
  if (fields.size_or("attention_head_dim", attention.head_dim) != attention.head_dim)
    fields.refuse("attention_head_dim", "must be head_dim");
  if (fields.members().find("sliding_window")) fields.refuse("sliding_window", "is not supported");
  decoder.activation = fields.activation("mlp_hidden_act", "relu2");
  decoder.mlp_gated = false;
  decoder.mlp_bias = fields.flag_or("mlp_bias", false);
  decoder.tied = fields.flag_or("tie_word_embeddings", false);
  decoder.mamba2 = read_mamba2(fields, decoder.norm_eps);
  for (std::size_t i = 0; i < branches.size(); ++i) {
    const auto branch = branches[i];
    decoder.layers[i] = branch == Branch::attention ? 0
                        : branch == Branch::mamba   ? nn::recurrent_layer
                                                    : nn::no_mixer;
    decoder.mixer_alone.push_back(decoder.layers[i] != nn::no_mixer);
    decoder.routed.push_back(branch == Branch::experts);
    if (branch == Branch::experts && !decoder.moe) decoder.moe = read_experts(fields);
  }
  return load_text_model(model_dir, config, fields, decoder, options,
                         [&](const std::string& name) { return decoder_name(name, branches); });
}

}  // namespace pippin::models
