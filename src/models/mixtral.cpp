// Mixtral. Reference: transformers models/mixtral, mlx-lm models/mixtral.py.
#include "models/decoder_model.h"
#include "models/families.h"

namespace pippin::models {

std::unique_ptr<Model> load_mixtral(const std::filesystem::path& model_dir,
                                    const json::object& config, const nn::LoadOptions& options) {
  ConfigFields fields(config, "");
  auto decoder = mistral_decoder(fields);
  auto moe = read_moe(fields, "num_local_experts", decoder.intermediate_size);
  moe.router.scores = kernels::RouterScores::softmax_of_chosen;
  decoder.moe = moe;
  const auto rename = [](const std::string& name) {
    return replaced(name, {{".block_sparse_moe.gate.", ".mlp.router."},
                           {".block_sparse_moe.switch_mlp.", ".mlp.experts."},
                           {".block_sparse_moe.experts.", ".mlp.experts."},
                           {".w1.", ".gate_proj."},
                           {".w2.", ".down_proj."},
                           {".w3.", ".up_proj."}});
  };
  return load_text_model(model_dir, config, fields, decoder, options, rename);
}

}  // namespace pippin::models
