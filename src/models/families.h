// One function a family: reads config.json, says what is special, and loads the model. registry.cpp lists them.
#pragma once

#include <boost/json.hpp>

#include <filesystem>
#include <memory>

#include "models/config.h"
#include "models/model.h"
#include "nn/checkpoint.h"

namespace pippin::models {

using LoadFn = std::unique_ptr<Model>(const std::filesystem::path& model_dir,
                                      const boost::json::object& config,
                                      const nn::LoadOptions& options);

LoadFn load_gemma3_text, load_lfm2, load_llama, load_ministral3, load_mistral, load_mistral3,
    load_qwen2, load_qwen3, load_qwen3_5, load_qwen3_vl;

/// The decoders that families share.
nn::DecoderConfig llama_decoder(ConfigFields& fields);
nn::DecoderConfig mistral_decoder(ConfigFields& fields);
nn::DecoderConfig ministral3_decoder(ConfigFields& fields);
nn::DecoderConfig qwen3_decoder(ConfigFields& fields, std::array<int, 3>* sections = nullptr);

}  // namespace pippin::models
