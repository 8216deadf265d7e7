// Qwen2 and Qwen2.5. Reference: transformers models/qwen2, mlx-lm models/qwen2.py.
#include "models/decoder_model.h"
#include "models/families.h"

namespace pippin::models {

nn::DecoderConfig qwen2_decoder(ConfigFields& fields) {
  auto decoder = read_decoder(fields);
  auto& attention = decoder.kinds.front();
  attention.qkv_bias = true;
  decoder.activation = fields.activation("hidden_act", "silu");
  decoder.tied = fields.members().boolean("tie_word_embeddings");
  decoder.ropes = {nn::make_rope(fields.rope(attention.head_dim, 1000000.0))};
  return decoder;
}

std::unique_ptr<Model> load_qwen2(const std::filesystem::path& model_dir,
                                  const json::object& config, const nn::LoadOptions& options) {
  ConfigFields fields(config, "");
  const auto decoder = qwen2_decoder(fields);
  return load_text_model(model_dir, config, fields, decoder, options);
}

}  // namespace pippin::models
