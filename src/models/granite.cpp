// Granite 3 and 4 without Mamba layers, dense and with experts. Reference: transformers models/granite and
// models/granitemoe, mlx-lm models/granite.py and granitemoe.py.
#include "models/decoder_model.h"
#include "models/families.h"

namespace pippin::models {
namespace {

nn::DecoderConfig granite_decoder(ConfigFields& fields) {
  auto config = llama_decoder(fields);
  config.kinds.front().scale = fields.number_or("attention_multiplier", 1);
  config.embedding_scale = fields.number_or("embedding_multiplier", 1);
  config.residual_scale = fields.number_or("residual_multiplier", 1);
  config.logit_scale = 1 / fields.number_or("logits_scaling", 1);
  return config;
}

}  // namespace

std::unique_ptr<Model> load_granite(const std::filesystem::path& model_dir,
                                    const json::object& config, const nn::LoadOptions& options) {
  ConfigFields fields(config, "");
  const auto decoder = granite_decoder(fields);
  return load_text_model(model_dir, config, fields, decoder, options);
}

// Hugging Face stores gates and ups as one bank, input_linear.
std::unique_ptr<Model> load_granitemoe(const std::filesystem::path& model_dir,
                                       const json::object& config, const nn::LoadOptions& options) {
  ConfigFields fields(config, "");
  auto decoder = granite_decoder(fields);
  auto moe = read_moe(fields, "num_local_experts", decoder.intermediate_size);
  moe.router.scores = kernels::RouterScores::softmax_of_chosen;
  decoder.moe = moe;
  const auto rename = [](const std::string& name) {
    return replaced(name, {{".block_sparse_moe.router.layer.", ".mlp.router."},
                           {".block_sparse_moe.output_linear.", ".mlp.experts.down_proj."},
                           {".block_sparse_moe.switch_mlp.", ".mlp.experts."}});
  };
  const int width = moe.width;
  return load_text_model(
      model_dir, config, fields, decoder, options, rename,
      split_modules({{".block_sparse_moe.input_linear.",
                      {{".mlp.experts.gate_proj.", width}, {".mlp.experts.up_proj.", width}}}}));
}

}  // namespace pippin::models
