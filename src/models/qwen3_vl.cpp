// Qwen3-VL, dense and with experts. Reference: transformers models/qwen3_vl and models/qwen3_vl_moe, mlx-vlm
// models/qwen3_vl and models/qwen3_vl_moe.
#include "models/families.h"
#include "models/vision_language.h"
#include "pippin/error.h"

namespace pippin::models {
namespace {

std::string experts_tensor(const std::string& name) {
  if (name.ends_with(".mlp.experts.gate_up_proj") || name.ends_with(".mlp.experts.down_proj"))
    return replaced(name, {{".experts.", ".experts.stored_"}}) + ".weight";
  return qwen3_moe_tensor(name);
}

// Hugging Face's banks, which are stored [E, in, out].
nn::SplitFn split_experts(const nn::DecoderConfig& text) {
  if (!text.moe) return {};
  const int width = text.moe->width;
  return split_modules({{".mlp.experts.stored_gate_up_proj.",
                         {{".mlp.experts.gate_proj.", width}, {".mlp.experts.up_proj.", width}},
                         false,
                         true},
                        {".mlp.experts.stored_down_proj.",
                         {{".mlp.experts.down_proj.", text.hidden_size}},
                         false,
                         true}});
}

using ReadText = nn::DecoderConfig(ConfigFields& fields, std::array<int, 3>* sections);

std::unique_ptr<Model> load(const std::filesystem::path& model_dir, const json::object& json,
                            const nn::LoadOptions& options, ReadText* read_text) {
  const Members members(json);
  const auto* text_json = members.object("text_config");
  if (!text_json)
    throw Error(Code::invalid_argument, "[config] Qwen3-VL needs text_config and vision_config");
  ConfigFields fields(*text_json, "text_config");
  std::array<int, 3> sections = {0, 0, 0};
  LanguagePart text{read_text(fields, &sections), {}};
  auto& decoder = text.decoder;
  decoder.tied = *decoder.tied || members.boolean("tie_word_embeddings").value_or(false);
  if (decoder.moe) text.rename = experts_tensor;
  text.split = split_experts(decoder);
  return load_vision_language(model_dir, json, fields, text, options);
}

}  // namespace

std::unique_ptr<Model> load_qwen3_vl(const std::filesystem::path& model_dir,
                                     const json::object& json, const nn::LoadOptions& options) {
  return load(model_dir, json, options, qwen3_decoder);
}

std::unique_ptr<Model> load_qwen3_vl_moe(const std::filesystem::path& model_dir,
                                         const json::object& json, const nn::LoadOptions& options) {
  return load(model_dir, json, options, qwen3_moe_decoder);
}

}  // namespace pippin::models
