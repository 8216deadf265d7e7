// Qwen3 (dense). Reference: transformers models/qwen3, mlx-lm models/qwen3.py.
#include "models/decoder_model.h"
#include "models/families.h"

namespace pippin::models {

nn::DecoderConfig qwen3_decoder(ConfigFields& fields, std::array<int, 3>* sections) {
  auto config = read_decoder(fields);
  auto& attention = config.kinds.front();
  attention.norms = cpu::HeadNorms::each_head;
  config.activation = fields.activation("hidden_act", "silu");
  config.tied = fields.flag_or("tie_word_embeddings", false);
  auto rope = nn::make_rope(fields.rope(attention.head_dim, 10000.0, sections));
  if (sections) rope.sections = *sections;
  config.ropes = {rope};
  return config;
}

std::unique_ptr<Model> load_qwen3(const std::filesystem::path& model_dir,
                                  const json::object& config, const nn::LoadOptions& options) {
  ConfigFields fields(config, "");
  const auto decoder = qwen3_decoder(fields);
  return load_text_model(model_dir, config, fields, decoder, options);
}

}  // namespace pippin::models
