// Llama 2, 3, 3.2 and the models that are Llama by another name. Reference: transformers models/llama and models/mistral,
// mlx-lm models/llama.py.
#include "models/decoder_model.h"
#include "models/families.h"

namespace pippin::models {

nn::DecoderConfig llama_decoder(ConfigFields& fields) {
  auto config = read_decoder(fields);
  auto& attention = config.kinds.front();
  attention.qkv_bias = attention.output_bias = fields.flag_or("attention_bias", false);
  config.mlp_bias = fields.flag_or("mlp_bias", false);
  config.activation = fields.activation("hidden_act", "silu");
  config.tied = fields.members().boolean("tie_word_embeddings");
  config.ropes = {nn::make_rope(fields.rope(attention.head_dim, 10000.0))};
  read_layer_types(fields, config);
  return config;
}

// Mistral 7B v0.1 sees a window in every layer and does not name the layers. (mlx-lm leaves the window out.)
nn::DecoderConfig mistral_decoder(ConfigFields& fields) {
  auto config = llama_decoder(fields);
  if (config.kinds.size() == 1 && fields.strings("layer_types").empty() &&
      fields.members().find("sliding_window"))
    config.kinds.front().window = fields.size("sliding_window");
  return config;
}

std::unique_ptr<Model> load_llama(const std::filesystem::path& model_dir,
                                  const json::object& config, const nn::LoadOptions& options) {
  ConfigFields fields(config, "");
  const auto decoder = llama_decoder(fields);
  return load_text_model(model_dir, config, fields, decoder, options);
}

std::unique_ptr<Model> load_mistral(const std::filesystem::path& model_dir,
                                    const json::object& config, const nn::LoadOptions& options) {
  ConfigFields fields(config, "");
  const auto decoder = mistral_decoder(fields);
  return load_text_model(model_dir, config, fields, decoder, options);
}

}  // namespace pippin::models
