// What Gemma 3n and 4 have in common.
#pragma once

#include <string>

#include "models/config.h"

namespace pippin::models {

/// In DecoderConfig::kinds.
inline constexpr int gemma_full = 0, gemma_sliding = 1;

/// layer_types, which must name every layer and end in full_attention: the references disagree about configs that don't.
void read_gemma_layers(ConfigFields& fields, nn::DecoderConfig& decoder);

/// num_kv_shared_layers: the last layers attend to what the last of their kind before them has kept. Needs the layers.
void read_shared_kv(ConfigFields& fields, nn::DecoderConfig& decoder);

/// hidden_size_per_layer_input and vocab_size_per_layer_input. Needs the size of the vocabulary.
void read_layer_inputs(ConfigFields& fields, nn::DecoderConfig& decoder);

/// The decoder's name of a tensor of the text part ("model.layers..."), where that is shared KV's or layer inputs'. Empty: nothing reads it.
std::string gemma_text_tensor(const std::string& name, const nn::DecoderConfig& decoder);

/// The text part's tensor of a model with towers, empty for theirs. Hugging Face: model.language_model.*; MLX: that, or language_model.model.*.
std::string gemma_language_tensor(const std::string& name);

}  // namespace pippin::models
