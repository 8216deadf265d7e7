// Ministral 3 and the text part of Mistral 3. Reference: mlx-lm models/ministral3.py and mistral3.py.
#include "models/decoder_model.h"
#include "models/families.h"
#include "pippin/error.h"

namespace pippin::models {
namespace {

// Hugging Face: model.language_model.*, lm_head.*. MLX: language_model.model.*, language_model.lm_head.*.
std::string text_tensor(const std::string& name) {
  if (name.find("vision_tower.") != std::string::npos ||
      name.find("multi_modal_projector.") != std::string::npos)
    return "";  // pictures are not supported yet
  static constexpr std::pair<const char*, const char*> prefixes[] = {
      {"model.language_model.", "model."}, {"language_model.", ""}};
  for (const auto& [theirs, ours] : prefixes)
    if (name.starts_with(theirs)) return ours + name.substr(std::string(theirs).size());
  return name;
}

}  // namespace

// YaRN, and queries that grow with their position, beyond the context of the first training.
nn::QueryScale read_query_scale(const ConfigFields& fields) {
  const auto* object = fields.rope_object();
  if (!object) fields.refuse("rope_parameters", "is missing");
  const Members rope(*object, fields.members().path_of("rope_parameters"));
  const auto beta = rope.number("llama_4_scaling_beta");
  const auto context = rope.required_integer("original_max_position_embeddings");
  if (!beta || context < 1 || context > (1 << 28))
    fields.refuse("rope_parameters",
                  "must give llama_4_scaling_beta and original_max_position_embeddings");
  return {static_cast<float>(*beta), static_cast<int>(context)};
}

nn::DecoderConfig ministral3_decoder(ConfigFields& fields) {
  auto config = llama_decoder(fields);
  for (auto& kind : config.kinds) kind.query_scale = read_query_scale(fields);
  return config;
}

std::unique_ptr<Model> load_ministral3(const std::filesystem::path& model_dir,
                                       const json::object& config, const nn::LoadOptions& options) {
  ConfigFields fields(config, "");
  const auto decoder = ministral3_decoder(fields);
  return load_text_model(model_dir, config, fields, decoder, options);
}

std::unique_ptr<Model> load_mistral3(const std::filesystem::path& model_dir,
                                     const json::object& config, const nn::LoadOptions& options) {
  const auto* text = Members(config).object("text_config");
  if (!text) throw Error(Code::invalid_argument, "[config] mistral3 needs text_config");
  const auto type = Members(*text).string("model_type").value_or("mistral");
  ConfigFields fields(*text, "text_config");
  if (type == "mistral4")
    return load_mistral4_text(model_dir, config, fields, options, text_tensor);
  if (type != "ministral3" && type != "mistral")
    fields.refuse("model_type", "'" + type + "' is not supported");
  auto decoder = type == "ministral3" ? ministral3_decoder(fields) : mistral_decoder(fields);
  if (!decoder.tied) decoder.tied = Members(config).boolean("tie_word_embeddings");
  return load_text_model(model_dir, config, fields, decoder, options, text_tensor);
}

}  // namespace pippin::models
