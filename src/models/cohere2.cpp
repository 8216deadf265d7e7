// Command R7B and Command A: attention and MLP side by side behind one LayerNorm; layers that see all turn nothing.
// Reference: transformers models/cohere2, mlx-lm models/cohere2.py.
#include "models/decoder_model.h"
#include "models/families.h"

namespace pippin::models {

std::unique_ptr<Model> load_cohere2(const std::filesystem::path& model_dir,
                                    const json::object& config, const nn::LoadOptions& options) {
  ConfigFields fields(config, "");
  auto decoder = read_decoder(fields);
  auto& attention = decoder.kinds.front();
  attention.qkv_bias = attention.output_bias = fields.flag_or("attention_bias", false);
  decoder.activation = fields.activation("hidden_act", "silu");
  decoder.tied = true;
  decoder.logit_scale = fields.number_or("logit_scale", 0.0625);
  decoder.norm_kind = nn::NormKind::layer;
  decoder.norm_eps = fields.number_or("layer_norm_eps", 1e-5);
  if (fields.flag_or("layer_norm_bias", false))
    fields.refuse("layer_norm_bias", "is not supported");
  decoder.norms.mlp_input = "";
  decoder.parallel = true;
  auto rope = fields.rope(attention.head_dim, 50000.0);
  rope.interleaved = true;
  decoder.ropes = {nn::make_rope(rope)};
  read_layer_types(fields, decoder);
  if (fields.strings("layer_types").empty()) read_window_pattern(fields, decoder, 4);
  fields.integer_or("sliding_window_pattern", 4);  // layer_types say more
  decoder.kinds.front().rope = -1;
  return load_text_model(model_dir, config, fields, decoder, options);
}

}  // namespace pippin::models
