// Qwen3 with experts. Reference: transformers models/qwen3_moe, mlx-lm models/qwen3_moe.py.
#include "models/decoder_model.h"
#include "models/families.h"

namespace pippin::models {

nn::DecoderConfig qwen3_moe_decoder(ConfigFields& fields, std::array<int, 3>* sections) {
  auto config = qwen3_decoder(fields, sections);
  auto moe = read_moe(fields, "num_experts", fields.size("moe_intermediate_size"));
  moe.router.normalize = fields.flag_or("norm_topk_prob", false);
  config.moe = moe;
  config.routed = routed_layers(fields, config.layers.size());
  return config;
}

std::string qwen3_moe_tensor(const std::string& name) {
  return replaced(name, {{".mlp.gate.", ".mlp.router."}, {".mlp.switch_mlp.", ".mlp.experts."}});
}

std::unique_ptr<Model> load_qwen3_moe(const std::filesystem::path& model_dir,
                                      const json::object& config, const nn::LoadOptions& options) {
  ConfigFields fields(config, "");
  const auto decoder = qwen3_moe_decoder(fields);
  return load_text_model(model_dir, config, fields, decoder, options, qwen3_moe_tensor);
}

}  // namespace pippin::models
