// Hunyuan's dense models: Qwen3 whose heads are normed after rotation. Reference: transformers models/hunyuan_v1_dense, mlx-lm
// models/hunyuan_v1_dense.py.
#include <cmath>

#include "models/decoder_model.h"
#include "models/families.h"

namespace pippin::models {
namespace {

// "dynamic" with alpha turns by a base that alpha enlarges.
kernels::Rope read_rope(ConfigFields& fields, int dims) {
  auto options = fields.rope(dims, 10000.0);
  if (const auto* scaling = fields.rope_object())
    if (const auto alpha = Members(*scaling, "rope_scaling").number("alpha"); alpha && *alpha > 0)
      options.theta = static_cast<float>(
          static_cast<double>(options.theta) *
          std::pow(*alpha, static_cast<double>(dims) / static_cast<double>(dims - 2)));
  return nn::make_rope(options);
}

}  // namespace

std::unique_ptr<Model> load_hunyuan_v1_dense(const std::filesystem::path& model_dir,
                                             const json::object& config,
                                             const nn::LoadOptions& options) {
  ConfigFields fields(config, "");
  auto decoder = read_decoder(fields);
  auto& attention = decoder.kinds.front();
  attention.qkv_bias = attention.output_bias = fields.flag_or("attention_bias", false);
  if (fields.flag_or("use_qk_norm", true))
    attention.norms = cpu::HeadNorms::each_head_after_rotation;
  if (attention.head_dim < 4) fields.refuse("head_dim", "must be at least 4");
  decoder.activation = fields.activation("hidden_act", "silu");
  decoder.mlp_bias = fields.flag_or("mlp_bias", false);
  decoder.tied = fields.flag_or("tie_word_embeddings", false);
  decoder.ropes = {read_rope(fields, attention.head_dim)};
  const auto rename = [](const std::string& name) {
    return replaced(name, {{".query_layernorm.", ".q_norm."}, {".key_layernorm.", ".k_norm."}});
  };
  return load_text_model(model_dir, config, fields, decoder, options, rename);
}

}  // namespace pippin::models
