// Qwen1.5 and Qwen2 with experts, and a gated MLP that every token passes. Reference: transformers models/qwen2_moe,
// mlx-lm models/qwen2_moe.py.
#include "models/decoder_model.h"
#include "models/families.h"

namespace pippin::models {

std::unique_ptr<Model> load_qwen2_moe(const std::filesystem::path& model_dir,
                                      const json::object& config, const nn::LoadOptions& options) {
  ConfigFields fields(config, "");
  auto decoder = qwen2_decoder(fields);
  auto moe = read_moe(fields, "num_experts", fields.size("moe_intermediate_size"));
  moe.router.normalize = fields.flag_or("norm_topk_prob", false);
  moe.shared_width = fields.size("shared_expert_intermediate_size");
  moe.shared_gate = true;
  decoder.moe = moe;
  decoder.routed = routed_layers(fields, decoder.layers.size());
  const auto rename = [](const std::string& name) {
    return replaced(name, {{".mlp.gate.", ".mlp.router."},
                           {".mlp.switch_mlp.", ".mlp.experts."},
                           {".mlp.shared_expert_gate.", ".mlp.shared_gate."}});
  };
  return load_text_model(model_dir, config, fields, decoder, options, rename);
}

}  // namespace pippin::models
