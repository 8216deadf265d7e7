// OLMoE. Reference: transformers models/olmoe, mlx-lm models/olmoe.py.
#include "models/decoder_model.h"
#include "models/families.h"

namespace pippin::models {

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
