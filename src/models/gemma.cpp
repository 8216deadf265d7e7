#include "models/gemma.h"

#include <algorithm>
#include <cstdlib>
#include <initializer_list>
#include <iterator>

#include "models/decoder_model.h"

namespace pippin::models {
namespace {

bool begins_with_any(const std::string& name, std::initializer_list<const char*> prefixes) {
  return std::any_of(prefixes.begin(), prefixes.end(),
                     [&](const char* prefix) { return name.starts_with(prefix); });
}

// Whether the tensor is a key's or a value's of a layer that shares others'.
bool is_unused(const std::string& name, const nn::DecoderConfig& decoder) {
  static const std::string prefix = "model.layers.";
  if (decoder.shared_kv.empty() || !name.starts_with(prefix)) return false;
  const auto end = name.find('.', prefix.size());
  const auto part = end == std::string::npos ? "" : name.substr(end);
  if (!begins_with_any(part, {".self_attn.k_proj.", ".self_attn.v_proj.", ".self_attn.k_norm."}))
    return false;
  const auto layer = std::strtoul(name.c_str() + prefix.size(), nullptr, 10);
  return layer < decoder.shared_kv.size() && decoder.shared_kv[layer] >= 0;
}

}  // namespace

void read_gemma_layers(ConfigFields& fields, nn::DecoderConfig& decoder) {
  const auto types = fields.strings("layer_types");
  const auto count = decoder.layers.size();
  if (types.size() != count)
    fields.refuse("layer_types", "must name " + std::to_string(count) + " layers");
  decoder.layers.clear();
  for (const auto& type : types) {
    if (type != "full_attention" && type != "sliding_attention")
      fields.refuse("layer_types", "'" + type + "' is not supported");
    decoder.layers.push_back(type == "full_attention" ? gemma_full : gemma_sliding);
  }
  if (decoder.layers.back() != gemma_full)
    fields.refuse("layer_types", "must end in full_attention");
}

void read_shared_kv(ConfigFields& fields, nn::DecoderConfig& decoder) {
  const auto& layers = decoder.layers;
  const auto count = fields.integer_or("num_kv_shared_layers", 0);
  if (count == 0) return;
  const auto own = std::ssize(layers) - count;
  if (own < 1) fields.refuse("num_kv_shared_layers", "must leave layers with keys and values");
  const auto own_end = layers.begin() + own;
  decoder.shared_kv.assign(layers.size(), -1);
  for (auto i = static_cast<std::size_t>(own); i < layers.size(); ++i) {
    const auto last =
        std::find(std::make_reverse_iterator(own_end), layers.rend(), layers[i]).base();
    if (last == layers.begin())
      fields.refuse("num_kv_shared_layers",
                    "leaves layer " + std::to_string(i) + " none of its type to share with");
    decoder.shared_kv[i] = static_cast<int>(last - layers.begin()) - 1;
  }
}

void read_layer_inputs(ConfigFields& fields, nn::DecoderConfig& decoder) {
  const auto width = fields.integer_or("hidden_size_per_layer_input", 256);
  const int rows = fields.size_or("vocab_size_per_layer_input", decoder.vocab_size);
  if (width > 0) decoder.layer_inputs = nn::LayerInputsConfig{static_cast<int>(width), rows};
}

std::string gemma_text_tensor(const std::string& name, const nn::DecoderConfig& decoder) {
  if (is_unused(name, decoder)) return "";
  return replaced(name, {{".embed_tokens_per_layer.", ".layer_inputs.embedding."},
                         {".per_layer_model_projection.", ".layer_inputs.projection."},
                         {".per_layer_projection_norm.", ".layer_inputs.norm."},
                         {".per_layer_input_gate.", ".layer_input.gate."},
                         {".per_layer_projection.", ".layer_input.projection."},
                         {".post_per_layer_input_norm.", ".layer_input.norm."}});
}

std::string gemma_language_tensor(const std::string& name) {
  static const std::string outer = "model.", language = "language_model.";
  const bool is_inner = name.starts_with(outer);
  const auto rest = is_inner ? name.substr(outer.size()) : name;
  if (begins_with_any(rest, {"vision_tower.", "multi_modal_projector.", "audio_tower.",
                             "embed_audio.", "embed_vision.", "vision_embedder."}))
    return "";
  if (!rest.starts_with(language)) return name;
  return (is_inner ? outer : "") + rest.substr(language.size());
}

}  // namespace pippin::models
