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

namespace {

nn::DecoderConfig smollm3_decoder(ConfigFields& fields) {
  auto config = llama_decoder(fields);
  auto flags = fields.integers("no_rope_layers");  // 1 where the layer turns
  const auto interval = fields.size_or("no_rope_layer_interval", 4);
  if (flags.empty())
    for (std::size_t i = 0; i < config.layers.size(); ++i)
      flags.push_back((static_cast<int>(i) + 1) % interval != 0);
  if (flags.size() != config.layers.size())
    fields.refuse("no_rope_layers", "must have an entry a layer");
  config.kinds.resize(1, config.kinds.front());
  config.kinds.push_back(config.kinds.front());
  config.kinds.back().rope = -1;
  for (std::size_t i = 0; i < flags.size(); ++i) {
    if (config.layers[i] != 0) fields.refuse("layer_types", "must be full_attention in each layer");
    config.layers[i] = flags[i] ? 0 : 1;
  }
  return config;
}

nn::DecoderConfig seed_oss_decoder(ConfigFields& fields) {
  auto config = llama_decoder(fields);
  config.kinds.front().output_bias = fields.flag_or("attention_out_bias", false);
  return config;
}

nn::DecoderConfig ernie4_5_decoder(ConfigFields& fields) {
  auto config = llama_decoder(fields);
  config.kinds.front().qkv_bias = config.kinds.front().output_bias = config.mlp_bias =
      fields.flag_or("use_bias", false);
  config.ropes.front().interleaved = true;
  return config;
}

std::unique_ptr<Model> load_as(nn::DecoderConfig (*read)(ConfigFields&),
                               const std::filesystem::path& model_dir, const json::object& config,
                               const nn::LoadOptions& options) {
  ConfigFields fields(config, "");
  const auto decoder = read(fields);
  return load_text_model(model_dir, config, fields, decoder, options);
}

}  // namespace

// SmolLM 3: Llama, of which every fourth layer turns nothing. Reference: mlx-lm models/smollm3.py.
std::unique_ptr<Model> load_smollm3(const std::filesystem::path& model_dir,
                                    const json::object& config, const nn::LoadOptions& options) {
  return load_as(smollm3_decoder, model_dir, config, options);
}

// Seed-OSS: biases of its own choice. Reference: mlx-lm models/seed_oss.py.
std::unique_ptr<Model> load_seed_oss(const std::filesystem::path& model_dir,
                                     const json::object& config, const nn::LoadOptions& options) {
  return load_as(seed_oss_decoder, model_dir, config, options);
}

// ERNIE 4.5 (dense): interleaved rope. Reference: mlx-lm models/ernie4_5.py.
std::unique_ptr<Model> load_ernie4_5(const std::filesystem::path& model_dir,
                                     const json::object& config, const nn::LoadOptions& options) {
  return load_as(ernie4_5_decoder, model_dir, config, options);
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
