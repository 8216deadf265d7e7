// Gemma 4, text. Reference: transformers models/gemma4, mlx-lm models/gemma4_text.py and gemma4.py.
#include <cmath>
#include <optional>
#include <string_view>

#include "models/decoder_model.h"
#include "models/families.h"
#include "models/gemma.h"
#include "pippin/error.h"

namespace pippin::models {
namespace {

// Layers of both kinds have their own number of numbers a head, and full ones may have their own number of heads.
std::vector<nn::AttentionConfig> kinds(ConfigFields& fields, nn::AttentionConfig attention) {
  attention.scale = 1;
  attention.norms = cpu::HeadNorms::each_head;
  attention.value_norm = true;
  auto local = attention, global = attention;
  local.window = fields.size_or("sliding_window", 512);
  local.rope = gemma_sliding;
  global.head_dim = fields.size_or("global_head_dim", 512);
  global.keys_are_values = fields.flag_or("attention_k_eq_v", false);
  const auto heads = fields.integer_or("num_global_key_value_heads", 0);
  if (global.keys_are_values && heads > 0) global.num_kv_heads = static_cast<int>(heads);
  if (global.num_heads % global.num_kv_heads != 0)
    fields.refuse("num_global_key_value_heads", "must divide num_attention_heads");
  if (global.head_dim % 2 != 0) fields.refuse("global_head_dim", "must be even");
  return {global, local};
}

// Layers that share have MLPs of twice the width, where the config says so.
std::vector<int> widths(ConfigFields& fields, const nn::DecoderConfig& decoder) {
  if (!fields.flag_or("use_double_wide_mlp", false) || decoder.shared_kv.empty()) return {};
  std::vector<int> widths;
  for (const int shared : decoder.shared_kv)
    widths.push_back(shared < 0 ? decoder.intermediate_size : 2 * decoder.intermediate_size);
  return widths;
}

std::optional<nn::MoeConfig> experts(ConfigFields& fields) {
  if (!fields.flag_or("enable_moe_block", false)) {
    for (const char* key : {"num_experts", "top_k_experts", "moe_intermediate_size"})
      fields.integer_or(key, 0);  // says nothing then
    return {};
  }
  nn::MoeConfig moe;
  moe.router.num_experts = fields.size("num_experts");
  moe.router.top_k = fields.size("top_k_experts");
  moe.router.scores = kernels::RouterScores::softmax_of_chosen;
  moe.width = fields.size("moe_intermediate_size");
  moe.expert_scales = moe.beside_mlp = true;
  if (moe.router.top_k > moe.router.num_experts)
    fields.refuse("top_k_experts", "must be at most num_experts");
  return moe;
}

// Full layers turn a share of the pairs of a whole head, at the frequencies of all.
kernels::Rope rope(ConfigFields& fields, int head_dim, const char* layer_type) {
  if (const auto* object = fields.rope_object(); object && !object->contains("full_attention"))
    fields.refuse("rope_parameters", "must hold full_attention and sliding_attention");
  const bool is_full = std::string_view(layer_type) == "full_attention";
  auto options = fields.rope(head_dim, is_full ? 1e6 : 1e4, nullptr, layer_type);
  if (!fields.rope_object() && is_full) {
    options.type = "proportional";
    options.rotated_share = 0.25f;
  }
  const auto* of_type =
      fields.rope_object() ? Members(*fields.rope_object()).object(layer_type) : nullptr;
  if (of_type && options.type != "proportional" &&
      Members(*of_type).number_or("partial_rotary_factor", 1) != 1)
    fields.refuse("rope_parameters",
                  "turns a part of " + std::string(layer_type) +
                      "'s heads: partial_rotary_factor must be 1 for rope_type " + options.type);
  return nn::make_rope(options);
}

nn::DecoderConfig gemma4_decoder(ConfigFields& fields) {
  auto decoder = read_decoder(fields);
  decoder.activation = fields.activation("hidden_activation", "gelu_pytorch_tanh");
  decoder.norms = {"input_layernorm", "post_attention_layernorm", "pre_feedforward_layernorm",
                   "post_feedforward_layernorm"};
  decoder.embedding_scale = std::sqrt(static_cast<float>(decoder.hidden_size));
  decoder.logit_softcap = fields.number_or("final_logit_softcapping", 0);
  decoder.layer_scale = true;
  // "vision": pictures' tokens see each other, and there are none yet.
  if (const auto both = fields.text_or("use_bidirectional_attention", "vision"); both != "vision")
    fields.refuse("use_bidirectional_attention", "'" + both + "' is not supported");
  decoder.kinds = kinds(fields, decoder.kinds.front());
  read_gemma_layers(fields, decoder);
  read_shared_kv(fields, decoder);
  decoder.intermediate_sizes = widths(fields, decoder);
  decoder.ropes = {rope(fields, decoder.kinds[gemma_full].head_dim, "full_attention"),
                   rope(fields, decoder.kinds[gemma_sliding].head_dim, "sliding_attention")};
  read_layer_inputs(fields, decoder);
  decoder.moe = experts(fields);
  if (decoder.moe) decoder.norms.mlp_input = "";  // the MLP's is one of several then
  decoder.tied = fields.members().boolean("tie_word_embeddings").value_or(true);
  return decoder;
}

std::string text_tensor(std::string name, const nn::DecoderConfig& decoder) {
  name = replaced(gemma_text_tensor(name, decoder), {{".layer_scalar", ".layer_scale"}});
  if (!decoder.moe) return name;
  if (name.ends_with(".router.scale"))
    return replaced(name, {{".router.scale", ".mlp.router_norm.weight"}});
  if (name.ends_with(".experts.gate_up_proj") || name.ends_with(".experts.down_proj"))
    return replaced(name, {{".experts.", ".mlp.experts."}}) + ".weight";
  return replaced(name, {{".experts.switch_glu.", ".mlp.experts."},
                         {".router.proj.", ".mlp.router."},
                         {".router.per_expert_scale", ".mlp.router.expert_scales"},
                         {".pre_feedforward_layernorm.", ".mlp.input_norm."},
                         {".post_feedforward_layernorm_1.", ".mlp.output_norm."},
                         {".pre_feedforward_layernorm_2.", ".mlp.experts_input_norm."},
                         {".post_feedforward_layernorm_2.", ".mlp.experts_output_norm."}});
}

nn::SplitFn split_experts(const nn::DecoderConfig& decoder) {
  if (!decoder.moe) return {};
  const int width = decoder.moe->width;
  return split_modules({{".mlp.experts.gate_up_proj.",
                         {{".mlp.experts.gate_proj.", width}, {".mlp.experts.up_proj.", width}}}});
}

}  // namespace

std::unique_ptr<Model> load_gemma4_text(const std::filesystem::path& model_dir,
                                        const json::object& config,
                                        const nn::LoadOptions& options) {
  ConfigFields fields(config, "");
  const auto decoder = gemma4_decoder(fields);
  const auto rename = [&](const std::string& name) { return text_tensor(name, decoder); };
  return load_text_model(model_dir, config, fields, decoder, options, rename,
                         split_experts(decoder));
}

std::unique_ptr<Model> load_gemma4(const std::filesystem::path& model_dir,
                                   const json::object& config, const nn::LoadOptions& options) {
  const auto* text = Members(config).object("text_config");
  if (!text) throw Error(Code::invalid_argument, "[config] gemma4 needs text_config");
  ConfigFields fields(*text, "text_config");
  const auto decoder = gemma4_decoder(fields);
  const auto rename = [&](const std::string& name) {
    const auto ours = gemma_language_tensor(name);
    return ours.empty() ? ours : text_tensor(ours, decoder);
  };
  return load_text_model(model_dir, config, fields, decoder, options, rename,
                         split_experts(decoder));
}

}  // namespace pippin::models
