// EXAONE 4: norms of what a block adds; where some layers have a window, the others turn nothing. Reference: transformers
// models/exaone4, mlx-lm models/exaone4.py.
#include "models/decoder_model.h"
#include "models/families.h"

namespace pippin::models {
namespace {

// sliding_window_pattern: a letter a layer, repeated; L has a window, G sees all.
void read_letters(ConfigFields& fields, nn::DecoderConfig& config) {
  const auto letters = fields.text_or("sliding_window_pattern", "");
  if (letters.empty()) return;
  auto local = config.kinds.front();
  local.window = fields.size("sliding_window");
  config.kinds.resize(1, local);
  config.kinds.push_back(local);
  for (std::size_t i = 0; i < config.layers.size(); ++i) {
    const char letter = letters[i % letters.size()];
    if (letter != 'L' && letter != 'G')
      fields.refuse("sliding_window_pattern", "must be made of L and G");
    config.layers[i] = letter == 'L';
  }
}

}  // namespace

std::unique_ptr<Model> load_exaone4(const std::filesystem::path& model_dir,
                                    const json::object& config, const nn::LoadOptions& options) {
  ConfigFields fields(config, "");
  auto decoder = llama_decoder(fields);
  for (auto& kind : decoder.kinds) kind.norms = cpu::HeadNorms::each_head;
  decoder.norms = {"", "post_attention_layernorm", "", "post_feedforward_layernorm"};
  read_letters(fields, decoder);
  if (decoder.kinds.size() > 1) decoder.kinds.front().rope = -1;
  return load_text_model(model_dir, config, fields, decoder, options);
}

}  // namespace pippin::models
