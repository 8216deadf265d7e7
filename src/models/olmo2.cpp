// OLMo 2 and 3, which norm what a block adds, and OLMoE; all norm whole rows of queries and keys. Reference: transformers
// models/olmo2, models/olmo3 and models/olmoe, mlx-lm models/olmo2.py, olmo3.py and olmoe.py.
#include "models/decoder_model.h"
#include "models/families.h"

namespace pippin::models {
namespace {

nn::DecoderConfig olmo2_decoder(ConfigFields& fields) {
  auto config = llama_decoder(fields);
  for (auto& kind : config.kinds) kind.norms = cpu::HeadNorms::whole_row;
  config.norms = {"", "post_attention_layernorm", "", "post_feedforward_layernorm"};
  return config;
}

}  // namespace

std::unique_ptr<Model> load_olmo2(const std::filesystem::path& model_dir,
                                  const json::object& config, const nn::LoadOptions& options) {
  ConfigFields fields(config, "");
  const auto decoder = olmo2_decoder(fields);
  return load_text_model(model_dir, config, fields, decoder, options);
}

// Layers with a window turn without the scaling.
std::unique_ptr<Model> load_olmo3(const std::filesystem::path& model_dir,
                                  const json::object& config, const nn::LoadOptions& options) {
  ConfigFields fields(config, "");
  auto decoder = olmo2_decoder(fields);
  if (fields.strings("layer_types").empty()) read_window_pattern(fields, decoder, 4);
  if (decoder.kinds.size() > 1) {
    decoder.ropes.push_back(kernels::plain_rope(decoder.kinds.front().head_dim,
                                                fields.number_or("rope_theta", 10000.0)));
    decoder.kinds.back().rope = 1;
  }
  return load_text_model(model_dir, config, fields, decoder, options);
}

std::unique_ptr<Model> load_olmoe(const std::filesystem::path& model_dir,
                                  const json::object& config, const nn::LoadOptions& options) {
  ConfigFields fields(config, "");
  auto decoder = llama_decoder(fields);
  decoder.kinds.front().norms = cpu::HeadNorms::whole_row;
  auto moe = read_moe(fields, "num_experts", decoder.intermediate_size);
  moe.bias = decoder.mlp_bias;
  moe.router.normalize = fields.flag_or("norm_topk_prob", false);
  decoder.moe = moe;
  return load_text_model(model_dir, config, fields, decoder, options, qwen3_moe_tensor);
}

}  // namespace pippin::models
