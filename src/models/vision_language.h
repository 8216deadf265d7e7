// A language model behind Qwen3-VL's vision tower.
#pragma once

#include <filesystem>
#include <memory>
#include <string>

#include "models/config.h"
#include "models/decoder_model.h"
#include "models/model.h"

namespace pippin::models {

/// Hugging Face: model.language_model.*, model.visual.*, lm_head.*. MLX: language_model.model.*, vision_tower.*,
/// language_model.lm_head.*. Ours: model.*, visual.*, lm_head.*, as the text model alone is named.
std::string vision_language_tensor(const std::string& name);

/// How the language part of a checkpoint becomes a decoder; names are those of vision_language_tensor.
struct LanguagePart {
  nn::DecoderConfig decoder;
  nn::RenameFn rename;     ///< of model.* and lm_head.*
  nn::SplitFn split = {};  ///< of what comes out
};

/// `json` is the whole config.json; `fields` its text_config, read. The decoder's ropes have M-RoPE's sections.
std::unique_ptr<Model> load_vision_language(const std::filesystem::path& model_dir,
                                            const boost::json::object& json,
                                            const ConfigFields& fields, const LanguagePart& text,
                                            const nn::LoadOptions& options);

}  // namespace pippin::models
