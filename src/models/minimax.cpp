// MiniMax-M2: norms of whole rows, half of a head turns, a sigmoid router with a correction. Reference: transformers
// models/minimax_m2, mlx-lm models/minimax.py.
#include "models/decoder_model.h"
#include "models/families.h"

namespace pippin::models {

std::unique_ptr<Model> load_minimax(const std::filesystem::path& model_dir,
                                    const json::object& config, const nn::LoadOptions& options) {
  ConfigFields fields(config, "");
  auto decoder = read_decoder(fields);
  auto& attention = decoder.kinds.front();
  if (fields.flag_or("use_qk_norm", true)) attention.norms = cpu::HeadNorms::whole_row;
  fields.expect("qk_norm_type", "per_layer");
  decoder.activation = fields.activation("hidden_act", "silu");
  decoder.tied = fields.flag_or("tie_word_embeddings", false);
  const int turned = fields.size_or("rotary_dim", fields.rotary_dims(attention.head_dim));
  if (turned % 2 != 0 || turned > attention.head_dim)
    fields.refuse("rotary_dim", "must be even and at most head_dim");
  decoder.ropes = {nn::make_rope(fields.rope(turned, 10000.0))};
  auto moe = read_moe(fields, "num_local_experts", decoder.intermediate_size);
  fields.expect("scoring_func", "sigmoid");
  if (fields.integer_or("shared_intermediate_size", 0) != 0)
    fields.refuse("shared_intermediate_size", "must be 0");
  moe.router.scores = kernels::RouterScores::sigmoid;
  moe.router.normalize = moe.correction = true;
  decoder.moe = moe;
  const auto rename = [](const std::string& name) {
    if (name.find("mtp_modules.") != std::string::npos) return std::string();  // predicts ahead
    return replaced(name, {{".block_sparse_moe.e_score_correction_bias", ".mlp.router.correction"},
                           {".block_sparse_moe.gate.", ".mlp.router."},
                           {".block_sparse_moe.experts.", ".mlp.experts."},
                           {".block_sparse_moe.switch_mlp.", ".mlp.experts."},
                           {".w1.", ".gate_proj."},
                           {".w3.", ".up_proj."},
                           {".w2.", ".down_proj."}});
  };
  return load_text_model(model_dir, config, fields, decoder, options, rename);
}

}  // namespace pippin::models
