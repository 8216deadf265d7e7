// Falcon-H1: Mamba-2 and attention side by side in each layer, and multipliers of nearly everything. Reference: transformers
// models/falcon_h1, mlx-lm models/falcon_h1.py, which leaves the keys' multiplier and the values' out.
#include <cmath>
#include <utility>

#include "models/decoder_model.h"
#include "models/families.h"
#include "nn/open_tensors.h"

namespace pippin::models {
namespace {

nn::Mamba2Config read_falcon_mamba(ConfigFields& fields, float norm_eps) {
  nn::Mamba2Config c;
  c.heads = fields.size("mamba_n_heads");
  c.head_dim = fields.size("mamba_d_head");
  c.groups = c.norm_groups = fields.size_or("mamba_n_groups", 1);
  c.state_dim = fields.size("mamba_d_state");
  c.taps = fields.size_or("mamba_d_conv", 4);
  c.conv_bias = fields.flag_or("mamba_conv_bias", true);
  c.proj_bias = fields.flag_or("mamba_proj_bias", false);
  c.out_bias = fields.flag_or("projectors_bias", false);
  c.normed = fields.flag_or("mamba_rms_norm", false);
  c.gate_first = !fields.flag_or("mamba_norm_before_gate", false);
  c.norm_eps = norm_eps;
  read_step_limit(fields, c);
  check_mamba2(fields, c, "mamba_n_groups", "mamba_d_state", "mamba_d_conv");
  if (fields.size_or("mamba_d_ssm", c.heads * c.head_dim) != c.heads * c.head_dim)
    fields.refuse("mamba_d_ssm", "must be mamba_n_heads times mamba_d_head");
  return c;
}

// So many numbers, or ones where the field is absent.
std::vector<float> multipliers(ConfigFields& fields, const char* key, std::size_t count) {
  auto all = fields.numbers(key);
  if (all.empty()) all.assign(count, 1.0f);
  if (all.size() != count) fields.refuse(key, "must hold " + std::to_string(count) + " numbers");
  return all;
}

/// The factors by which modules' weights and biases are multiplied as they are loaded.
struct Multipliers {
  float attention_in, attention_out, ssm_in, ssm_out;
  std::vector<float> mlp;  ///< of gates, and of the MLP's output
  std::vector<float> ssm;  ///< by row of in_proj
};

Multipliers read_multipliers(ConfigFields& fields, const nn::Mamba2Config& mamba) {
  Multipliers m{fields.number_or("attention_in_multiplier", 1),
                fields.number_or("attention_out_multiplier", 1),
                fields.number_or("ssm_in_multiplier", 1),
                fields.number_or("ssm_out_multiplier", 1),
                multipliers(fields, "mlp_multipliers", 2),
                {}};
  const auto parts = multipliers(fields, "ssm_multipliers", 5);
  const int inner = mamba.heads * mamba.head_dim, shared = mamba.groups * mamba.state_dim;
  const int sizes[] = {inner, inner, shared, shared, mamba.heads};
  for (std::size_t i = 0; i < parts.size(); ++i)
    m.ssm.insert(m.ssm.end(), static_cast<std::size_t>(sizes[i]), parts[i]);
  return m;
}

std::vector<float> times(std::vector<float> factors, float factor) {
  for (auto& x : factors) x *= factor;
  return factors;
}

// By the decoder's names. What multiplies a module's input does not multiply its bias.
std::vector<float> factors_of(const std::string& name, const Multipliers& m) {
  const bool bias = name.ends_with(".bias");
  const auto in = [&](const char* module) { return name.find(module) != std::string::npos; };
  if (in(".q_proj.") || in(".k_proj.") || in(".v_proj.")) return {bias ? 1 : m.attention_in};
  if (in(".o_proj.")) return {m.attention_out};
  if (in(".in_proj.")) return times(m.ssm, bias ? 1 : m.ssm_in);
  if (in(".out_proj.")) return {m.ssm_out};
  if (in(".gate_proj.")) return {m.mlp[0]};
  if (in(".down_proj.")) return {m.mlp[1]};
  return {};
}

// mlx-lm's conversions have the weights multiplied, but for those of values, and no biases; their convolutions lie the other way.
bool is_converted(const std::filesystem::path& model_dir) {
  const std::string conv = "model.layers.0.mamba.conv1d.weight";
  for (const auto& file : nn::open_tensors(model_dir, {}, false))
    for (const auto& name : file->names())
      if (name == conv && file->shape(name).size() == 3) return file->shape(name)[2] == 1;
  return false;
}

nn::LoadOptions scaled(nn::LoadOptions options, Multipliers m, bool converted) {
  options.scale = [m = std::move(m), converted](const std::string& name) -> std::vector<float> {
    const bool is_left = name.ends_with(".bias") || name.find(".v_proj.") != std::string::npos;
    return converted && !is_left ? std::vector<float>() : factors_of(name, m);
  };
  return options;
}

// A layer of theirs is two of the decoder's: Mamba-2, then attention beside it and the MLP.
std::string decoder_name(const std::string& name) {
  static const std::string layers = "model.layers.";
  if (!name.starts_with(layers)) return replaced(name, {{"model.final_layernorm.", "model.norm."}});
  const auto dot = name.find('.', layers.size());
  if (dot == std::string::npos) return name;
  const auto rest =
      replaced(name.substr(dot),
               {{".pre_ff_layernorm.", ".post_attention_layernorm."}, {".feed_forward.", ".mlp."}});
  const bool first = rest.starts_with(".mamba.") || rest.starts_with(".input_layernorm.");
  const int layer = 2 * std::atoi(name.c_str() + layers.size()) + (first ? 0 : 1);
  return layers + std::to_string(layer) + rest;
}

nn::DecoderConfig falcon_decoder(ConfigFields& fields) {
  auto config = read_decoder(fields);
  auto& attention = config.kinds.front();
  attention.qkv_bias = attention.output_bias = fields.flag_or("attention_bias", false);
  attention.scale *= fields.number_or("key_multiplier", 1);
  config.activation = fields.activation("hidden_act", "silu");
  config.mlp_bias = fields.flag_or("mlp_bias", false);
  config.tied = fields.flag_or("tie_word_embeddings", false);
  config.ropes = {nn::make_rope(fields.rope(attention.head_dim, 1e11))};
  config.mamba2 = read_falcon_mamba(fields, config.norm_eps);
  const auto count = config.layers.size();
  config.layers.clear();
  for (std::size_t i = 0; i < count; ++i) {
    config.layers.insert(config.layers.end(), {nn::recurrent_layer, 0});
    config.mixer_alone.insert(config.mixer_alone.end(), {true, false});
    config.beside_previous.insert(config.beside_previous.end(), {false, true});
  }
  return config;
}

}  // namespace

std::unique_ptr<Model> load_falcon_h1(const std::filesystem::path& model_dir,
                                      const json::object& config, const nn::LoadOptions& options) {
  ConfigFields fields(config, "");
  auto decoder = falcon_decoder(fields);
  auto factors = read_multipliers(fields, *decoder.mamba2);
  const float embedding = fields.number_or("embedding_multiplier", 1),
              logits = fields.number_or("lm_head_multiplier", 1);
  const bool converted = is_converted(model_dir), tied = *decoder.tied;
  decoder.embedding_scale = converted ? 1 : embedding;
  decoder.logit_scale = converted && !tied ? 1 : logits;
  if (converted && tied) decoder.logit_scale /= embedding;
  return load_text_model(model_dir, config, fields, decoder,
                         scaled(options, std::move(factors), converted), decoder_name);
}

}  // namespace pippin::models
