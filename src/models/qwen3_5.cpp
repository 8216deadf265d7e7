// Qwen3.5 (dense, text): gated delta layers and every few layers attention whose output is gated. Reference: transformers
// models/qwen3_5, mlx-lm models/qwen3_5.py.
#include "models/decoder_model.h"
#include "models/families.h"
#include "pippin/error.h"

namespace pippin::models {
namespace {

// The decoder's names; the vision tower and the drafting head are dropped.
std::string rename(const std::string& name) {
  if (name.find("visual.") != std::string::npos ||
      name.find("vision_tower.") != std::string::npos || name.find("mtp.") != std::string::npos)
    return "";
  static constexpr std::pair<const char*, const char*> prefixes[] = {
      {"model.language_model.", "model."}, {"language_model.", ""}};
  for (const auto& [theirs, ours] : prefixes)
    if (name.starts_with(theirs)) return ours + name.substr(std::string_view(theirs).size());
  return name;
}

nn::GatedDeltaConfig read_gated_delta(ConfigFields& fields, float norm_eps) {
  nn::GatedDeltaConfig c;
  c.key_heads = fields.size("linear_num_key_heads");
  c.value_heads = fields.size("linear_num_value_heads");
  c.key_dim = fields.size("linear_key_head_dim");
  c.value_dim = fields.size("linear_value_head_dim");
  c.taps = fields.size_or("linear_conv_kernel_dim", 4);
  c.norm_eps = norm_eps;
  if (c.value_heads % c.key_heads != 0)
    fields.refuse("linear_num_key_heads", "must divide linear_num_value_heads");
  if (c.key_dim > cpu::max_delta_key_dim)
    fields.refuse("linear_key_head_dim",
                  "must be at most " + std::to_string(cpu::max_delta_key_dim));
  if (c.taps < 2 || c.taps > cpu::max_conv_taps)
    fields.refuse("linear_conv_kernel_dim",
                  "must be in [2, " + std::to_string(cpu::max_conv_taps) + "]");
  return c;
}

// layer_types, or every n-th layer has attention.
std::vector<int> layer_kinds(ConfigFields& fields, std::size_t num_layers) {
  const auto types = fields.strings("layer_types");
  const int interval = fields.size_or("full_attention_interval", 4);
  if (!types.empty() && types.size() != num_layers)
    fields.refuse("layer_types", "must name " + std::to_string(num_layers) + " layers");
  std::vector<int> kinds;
  for (std::size_t i = 0; i < num_layers; ++i) {
    const bool attention =
        types.empty() ? (static_cast<int>(i) + 1) % interval == 0 : types[i] == "full_attention";
    if (!types.empty() && !attention && types[i] != "linear_attention")
      fields.refuse("layer_types", "'" + types[i] + "' is not supported");
    kinds.push_back(attention ? 0 : nn::recurrent_layer);
  }
  return kinds;
}

// Published checkpoints store norms' weights less one; mlx-lm adds it where it turns the convolution's weights.
bool norms_less_one(const std::filesystem::path& model_dir, const nn::LoadOptions& options) {
  const auto first_conv = [](const std::string& name) -> std::string {
    return name.ends_with("layers.0.linear_attn.conv1d.weight") ? "conv" : "";
  };
  const nn::Checkpoint checkpoint(model_dir, {}, first_conv, options);
  return checkpoint.has("conv") && checkpoint.shape("conv").back() != 1;
}

}  // namespace

std::unique_ptr<Model> load_qwen3_5(const std::filesystem::path& model_dir,
                                    const json::object& config, const nn::LoadOptions& options) {
  const auto* text = Members(config).object("text_config");
  ConfigFields fields(text ? *text : config, text ? "text_config" : "");
  auto decoder = read_decoder(fields);
  auto& attention = decoder.kinds.front();
  attention.norms = cpu::HeadNorms::each_head;
  attention.output_gate = fields.flag_or("attn_output_gate", true);
  attention.qkv_bias = attention.output_bias = fields.flag_or("attention_bias", false);
  decoder.activation = fields.activation("hidden_act", "silu");
  const auto tied = Members(config).boolean("tie_word_embeddings").value_or(false);
  decoder.tied = fields.flag_or("tie_word_embeddings", tied);
  double share = fields.number_or("partial_rotary_factor", 0.25);
  if (const auto* rope = fields.rope_object())
    share = Members(*rope, "rope_parameters").number_or("partial_rotary_factor", share);
  std::array<int, 3> sections{};  // of no matter: positions of text are equal on all axes
  decoder.ropes = {nn::make_rope(
      fields.rope(static_cast<int>(attention.head_dim * share), 100000.0, &sections))};
  decoder.gated_delta = read_gated_delta(fields, decoder.norm_eps);
  decoder.layers = layer_kinds(fields, decoder.layers.size());
  decoder.norm_adds_one = norms_less_one(model_dir, {.dtype = options.dtype});
  return load_text_model(model_dir, config, fields, decoder, options, rename);
}

}  // namespace pippin::models
