#include "models/config.h"

#include "base/json.h"
#include "pippin/error.h"

namespace pippin::models {
namespace {

[[noreturn]] void throw_invalid(const std::string& what) {
  throw Error(Code::invalid_argument, "[config] " + what);
}

// A size that arrays will have: positive, and small enough that no product of a few overflows.
int checked_size(const Members& members, const char* key, std::int64_t value) {
  if (value < 1 || value > (1 << 24))
    throw_invalid(members.path_of(key) + " must be a positive size, got " + std::to_string(value));
  return static_cast<int>(value);
}

int required_size(const Members& members, const char* key) {
  return checked_size(members, key, members.required_integer(key));
}

int optional_size(const Members& members, const char* key, std::int64_t fallback) {
  return checked_size(members, key, members.integer_or(key, fallback));
}

// transformers 4 writes rope_theta and rope_scaling, transformers 5 one rope_parameters.
void read_rope(const Members& members, DecoderConfig& config) {
  config.rope_theta = static_cast<float>(members.number_or("rope_theta", 10000.0));
  for (const char* key : {"rope_scaling", "rope_parameters"}) {
    const auto* object = members.object(key);
    if (!object) continue;
    const Members rope(*object, members.path_of(key));
    config.rope_theta = static_cast<float>(rope.number_or("rope_theta", config.rope_theta));
    const auto type = rope.string("rope_type").value_or(rope.string("type").value_or("default"));
    if (type != "default" && type != "mrope")
      throw_invalid(rope.path_of("rope_type") + " '" + type + "' is not supported");
    if (const auto* sections = rope.array("mrope_section")) {
      if (sections->size() != 3)
        throw_invalid(rope.path_of("mrope_section") + " must hold three sizes");
      for (std::size_t i = 0; i < 3; ++i) {
        if (!(*sections)[i].is_int64() || (*sections)[i].as_int64() < 0 ||
            (*sections)[i].as_int64() > 4096)
          throw_invalid(rope.path_of("mrope_section") + " must hold small integers");
        config.mrope_section[i] = static_cast<int>((*sections)[i].as_int64());
      }
    }
  }
}

std::vector<std::int32_t> token_ids(const json::value* value) {
  std::vector<std::int32_t> ids;
  if (value && value->is_int64()) ids.push_back(static_cast<std::int32_t>(value->as_int64()));
  if (value && value->is_array())
    for (const auto& id : value->as_array())
      if (id.is_int64()) ids.push_back(static_cast<std::int32_t>(id.as_int64()));
  return ids;
}

}  // namespace

DecoderConfig DecoderConfig::from_json(const json::object& object, const std::string& path) {
  const Members members(object, path);
  DecoderConfig config;
  config.hidden_size = required_size(members, "hidden_size");
  config.num_hidden_layers = required_size(members, "num_hidden_layers");
  config.intermediate_size = required_size(members, "intermediate_size");
  config.num_attention_heads = required_size(members, "num_attention_heads");
  config.num_key_value_heads =
      optional_size(members, "num_key_value_heads", config.num_attention_heads);
  config.head_dim =
      optional_size(members, "head_dim", config.hidden_size / config.num_attention_heads);
  config.vocab_size = required_size(members, "vocab_size");
  config.max_position_embeddings = members.integer_or("max_position_embeddings", 32768);
  config.rms_norm_eps = static_cast<float>(members.number_or("rms_norm_eps", 1e-6));
  config.tie_word_embeddings = members.boolean("tie_word_embeddings").value_or(false);
  read_rope(members, config);
  if (config.num_key_value_heads < 1 ||
      config.num_attention_heads % config.num_key_value_heads != 0)
    throw_invalid(members.path_of("num_key_value_heads") +
                  " must divide num_attention_heads, got " +
                  std::to_string(config.num_key_value_heads) + " and " +
                  std::to_string(config.num_attention_heads));
  if (std::int64_t{config.num_attention_heads} * config.head_dim > (1 << 24))
    throw_invalid(members.path_of("head_dim") + " times num_attention_heads is too large");
  if (config.head_dim < 2 || config.head_dim % 2 != 0)
    throw_invalid(members.path_of("head_dim") + " must be even, got " +
                  std::to_string(config.head_dim));
  if (config.max_position_embeddings < 1 || config.max_position_embeddings > (1 << 28))
    throw_invalid(members.path_of("max_position_embeddings") + " must be in [1, 2^28]");
  if (members.boolean("attention_bias").value_or(false))
    throw_invalid(members.path_of("attention_bias") + " is not supported");
  if (members.boolean("use_sliding_window").value_or(false))
    throw_invalid(members.path_of("use_sliding_window") + " is not supported");
  return config;
}

std::vector<std::int32_t> read_end_tokens(const std::filesystem::path& model_dir,
                                          const json::object& config) {
  const auto file = model_dir / "generation_config.json";
  if (std::filesystem::exists(file)) {
    const auto generation = read_json_object(file);
    if (auto ids = token_ids(generation.if_contains("eos_token_id")); !ids.empty()) return ids;
  }
  if (auto ids = token_ids(config.if_contains("eos_token_id")); !ids.empty()) return ids;
  if (const auto* text = Members(config).object("text_config"))
    return token_ids(text->if_contains("eos_token_id"));
  return {};
}

}  // namespace pippin::models
