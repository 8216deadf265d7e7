// gpt-oss: attention sinks, windows in every other layer, YaRN, experts in mxfp4 with biases and a clipped gate.
// Reference: transformers models/gpt_oss, mlx-lm models/gpt_oss.py.
#include "models/decoder_model.h"
#include "models/families.h"

namespace pippin::models {
namespace {

// Layers alternate, beginning with a window, where the config does not name them.
void read_windows(ConfigFields& fields, nn::DecoderConfig& config) {
  read_layer_types(fields, config);
  if (fields.strings("layer_types").empty()) read_window_pattern(fields, config, 2);
}

}  // namespace

std::unique_ptr<Model> load_gpt_oss(const std::filesystem::path& model_dir,
                                    const json::object& config, const nn::LoadOptions& options) {
  ConfigFields fields(config, "");
  auto decoder = read_decoder(fields);
  auto& attention = decoder.kinds.front();
  attention.sinks = attention.qkv_bias = true;
  attention.output_bias = fields.flag_or("attention_bias", true);
  decoder.activation = nn::Activation::clipped_swiglu;
  fields.activation("hidden_act", "silu");  // in its clipped form
  if (fields.number_or("swiglu_limit", 7) != 7) fields.refuse("swiglu_limit", "must be 7");
  decoder.tied = fields.flag_or("tie_word_embeddings", false);
  decoder.ropes = {nn::make_rope(fields.rope(attention.head_dim, 150000.0))};
  read_windows(fields, decoder);
  auto moe = read_moe(fields, "num_local_experts", decoder.intermediate_size);
  moe.router.scores = kernels::RouterScores::softmax_of_chosen;
  moe.router_bias = moe.bias = true;
  decoder.moe = moe;
  const auto rename = [](const std::string& name) {
    return replaced(name, {{"_proj_blocks", "_proj.blocks"},
                           {"_proj_scales", "_proj.scales"},
                           {"_proj_bias", "_proj.bias"}});
  };
  const FusedModule gate_up{".experts.gate_up_proj.",
                            {{".experts.gate_proj.", moe.width}, {".experts.up_proj.", moe.width}},
                            true};
  return load_text_model(model_dir, config, fields, decoder, options, rename,
                         split_modules({gate_up}));
}

}  // namespace pippin::models
