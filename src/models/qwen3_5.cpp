// Qwen3.5, dense and with experts, and Qwen3-Next: gated delta layers and every few layers attention whose output is gated. Reference:
// transformers models/qwen3_5, models/qwen3_5_moe and models/qwen3_next; mlx-lm qwen3_5.py, qwen3_5_moe.py and qwen3_next.py; mlx-vlm
// models/qwen3_5 and models/qwen3_5_moe for pictures.
#include "models/families.h"
#include "models/vision_language.h"
#include "pippin/error.h"

namespace pippin::models {
namespace {

// What predicts ahead is dropped.
std::string dense_tensor(const std::string& name) {
  return name.find("mtp.") != std::string::npos ? "" : name;
}

// Hugging Face's banks have no suffix.
std::string moe_tensor(const std::string& name) {
  const bool bank =
      name.ends_with(".mlp.experts.gate_up_proj") || name.ends_with(".mlp.experts.down_proj");
  return replaced(dense_tensor(bank ? name + ".weight" : name),
                  {{".mlp.gate.", ".mlp.router."},
                   {".mlp.switch_mlp.", ".mlp.experts."},
                   {".mlp.shared_expert_gate.", ".mlp.shared_gate."}});
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

// mlx-lm's conversions keep vision_config, but not the tower.
bool has_tower(const std::filesystem::path& model_dir, const nn::LoadOptions& options) {
  const auto first_block = [](const std::string& name) -> std::string {
    return vision_language_tensor(name) == "visual.blocks.0.norm1.weight" ? "norm" : "";
  };
  return nn::Checkpoint(model_dir, {}, first_block, options).has("norm");
}

// Every layer has experts where the config counts them, a gated MLP beside them.
nn::MoeConfig read_experts(ConfigFields& fields) {
  auto moe = read_moe(fields, "num_experts", fields.size("moe_intermediate_size"));
  moe.router.normalize = fields.flag_or("norm_topk_prob", true);
  moe.shared_width = fields.size("shared_expert_intermediate_size");
  moe.shared_gate = true;
  return moe;
}

// But for what the config says of experts. `sections` gets M-RoPE's.
nn::DecoderConfig read_hybrid(ConfigFields& fields, const char* intermediate_size,
                              std::array<int, 3>& sections) {
  auto decoder = read_decoder(fields, intermediate_size);
  auto& attention = decoder.kinds.front();
  attention.norms = cpu::HeadNorms::each_head;
  if (fields.flag_or("attn_output_gate", true))
    attention.output_gate = nn::OutputGate::beside_queries;
  attention.qkv_bias = attention.output_bias = fields.flag_or("attention_bias", false);
  decoder.activation = fields.activation("hidden_act", "silu");
  decoder.tied = fields.flag_or("tie_word_embeddings", false);
  double share = static_cast<double>(fields.number_or("partial_rotary_factor", 0.25));
  if (const auto* rope = fields.rope_object())
    share = Members(*rope, "rope_parameters").number_or("partial_rotary_factor", share);
  decoder.ropes = {nn::make_rope(
      fields.rope(static_cast<int>(attention.head_dim * share), 100000.0, &sections))};
  decoder.gated_delta = read_gated_delta(fields, decoder.norm_eps);
  decoder.layers = layer_kinds(fields, decoder.layers.size());
  return decoder;
}

// Qwen3-Next's projections: by key head, its query and key, and the values and gates of its value heads.
nn::SplitFn split_by_key_heads(const nn::GatedDeltaConfig& c) {
  const int heads = c.key_heads, keys = c.key_dim, share = c.value_heads / c.key_heads;
  const int values = share * c.value_dim;
  struct Piece {
    const char* module;
    int begin, end;
  };
  using Pieces = std::vector<Piece>;
  const Pieces qkvz = {{"q", 0, keys},
                       {"k", keys, 2 * keys},
                       {"v", 2 * keys, 2 * keys + values},
                       {"z", 2 * keys + values, 2 * (keys + values)}};
  const Pieces ba = {{"b", 0, share}, {"a", share, 2 * share}};
  return [=](const std::string& name) {
    std::vector<nn::TensorPart> parts;
    for (const auto& [theirs, pieces] : {std::pair{".in_proj_qkvz.", qkvz}, {".in_proj_ba.", ba}}) {
      const auto at = name.find(theirs);
      if (at == std::string::npos) continue;
      const auto tail = name.substr(at + std::string_view(theirs).size());
      for (const auto& piece : pieces)
        parts.push_back({name.substr(0, at) + ".in_proj_" + piece.module + "." + tail, -2,
                         piece.begin, piece.end, 1, false, heads});
    }
    return parts;
  };
}

}  // namespace

std::unique_ptr<Model> load_qwen3_5(const std::filesystem::path& model_dir,
                                    const json::object& config, const nn::LoadOptions& options) {
  const Members members(config);
  const auto* text_config = members.object("text_config");
  ConfigFields fields(text_config ? *text_config : config, text_config ? "text_config" : "");
  const bool experts = fields.members().integer_or("num_experts", 0) > 0;
  std::array<int, 3> sections{};
  LanguagePart text{
      read_hybrid(fields, experts ? "moe_intermediate_size" : "intermediate_size", sections),
      experts ? moe_tensor : dense_tensor};
  auto& decoder = text.decoder;
  decoder.tied =
      fields.flag_or("tie_word_embeddings", members.boolean("tie_word_embeddings").value_or(false));
  const nn::LoadOptions plain{.dtype = options.dtype};
  decoder.norm_adds_one = norms_less_one(model_dir, plain);
  if (experts) {
    decoder.moe = read_experts(fields);
    const int width = decoder.moe->width;
    text.split =
        split_modules({{".mlp.experts.gate_up_proj.",
                        {{".mlp.experts.gate_proj.", width}, {".mlp.experts.up_proj.", width}}}});
  }
  if (members.object("vision_config") && has_tower(model_dir, plain)) {
    decoder.ropes.front().sections = sections;
    return load_vision_language(model_dir, config, fields, text, options);
  }
  const auto rename = [&](const std::string& name) -> std::string {
    return text.rename(vision_language_tensor(name));
  };
  return load_text_model(model_dir, config, fields, decoder, options, rename, text.split);
}

std::unique_ptr<Model> load_qwen3_next(const std::filesystem::path& model_dir,
                                       const json::object& config, const nn::LoadOptions& options) {
  ConfigFields fields(config, "");
  std::array<int, 3> sections{};
  auto decoder = read_hybrid(fields, "intermediate_size", sections);
  decoder.moe = read_experts(fields);
  decoder.routed = routed_layers(fields, decoder.layers.size());
  decoder.norm_adds_one = norms_less_one(model_dir, {.dtype = options.dtype});
  return load_text_model(model_dir, config, fields, decoder, options, moe_tensor,
                         split_by_key_heads(*decoder.gated_delta));
}

}  // namespace pippin::models
