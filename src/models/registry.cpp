#include "models/registry.h"

#include "base/json.h"
#include "gguf/model_files.h"
#include "models/families.h"
#include "pippin/error.h"

namespace pippin::models {
namespace {

struct Entry {
  const char* model_type;
  LoadFn* load;
};

// By model_type; some are others by another name.
constexpr Entry entries[] = {
    {"bailing_moe", load_bailing_moe},
    {"cohere2", load_cohere2},
    {"deepseek_v2", load_deepseek_v2},
    {"deepseek_v3", load_deepseek_v3},
    {"ernie4_5", load_ernie4_5},
    {"exaone4", load_exaone4},
    {"falcon_h1", load_falcon_h1},
    {"gemma2", load_gemma2},
    {"gemma3_text", load_gemma3_text},
    {"gemma3n", load_gemma3n},
    {"gemma4", load_gemma4},
    {"gemma4_text", load_gemma4_text},
    {"gemma4_unified", load_gemma4},
    {"glm4", load_glm4},
    {"glm4_moe", load_glm4_moe},
    {"glm4_moe_lite", load_glm4_moe_lite},
    {"gpt_oss", load_gpt_oss},
    {"granite", load_granite},
    {"granitemoe", load_granitemoe},
    {"granitemoehybrid", load_granitemoehybrid},
    {"hunyuan_v1_dense", load_hunyuan_v1_dense},
    {"iquestcoder", load_llama},
    {"joyai_llm_flash", load_deepseek_v3},
    {"kimi_k2", load_deepseek_v3},
    {"lfm2", load_lfm2},
    {"lfm2_moe", load_lfm2_moe},
    {"llama", load_llama},
    {"minimax", load_minimax},
    {"minimax_m2", load_minimax},
    {"ministral3", load_ministral3},
    {"mistral", load_mistral},
    {"mistral3", load_mistral3},
    {"mistral4", load_mistral4},
    {"mixtral", load_mixtral},
    {"muse_glimmer", load_muse_glimmer},
    {"nemotron_h", load_nemotron_h},
    {"olmo2", load_olmo2},
    {"olmo3", load_olmo3},
    {"olmoe", load_olmoe},
    {"phi3", load_phi3},
    {"qwen2", load_qwen2},
    {"qwen2_moe", load_qwen2_moe},
    {"qwen3", load_qwen3},
    {"qwen3_5", load_qwen3_5},
    {"qwen3_5_moe", load_qwen3_5},
    {"qwen3_5_moe_text", load_qwen3_5},
    {"qwen3_5_text", load_qwen3_5},
    {"qwen3_moe", load_qwen3_moe},
    {"qwen3_next", load_qwen3_next},
    {"qwen3_vl", load_qwen3_vl},
    {"qwen3_vl_moe", load_qwen3_vl_moe},
    {"seed_oss", load_seed_oss},
    {"smollm3", load_smollm3},
    {"xverse", load_llama},
};

json::object read_config(const std::filesystem::path& model_dir) {
  auto config = gguf::model_json(model_dir, "config.json");
  if (!config)
    throw Error(Code::not_found,
                "[model] " + model_dir.string() + " is no model directory: it has no config.json");
  return std::move(*config);
}

}  // namespace

std::string supported_model_types() {
  std::string names;
  for (const auto& entry : entries)
    names += (names.empty() ? "" : ", ") + std::string(entry.model_type);
  return names;
}

namespace {

const Entry& entry_of(const json::object& config) {
  const auto type = Members(config).string("model_type").value_or("");
  for (const auto& entry : entries)
    if (type == entry.model_type) return entry;
  throw Error(
      Code::invalid_argument,
      "[model] model_type '" + type + "' is not supported; known are: " + supported_model_types());
}

}  // namespace

void check_model_type(const std::filesystem::path& model_dir) { entry_of(read_config(model_dir)); }

std::unique_ptr<Model> load_model(const std::filesystem::path& model_dir,
                                  const nn::LoadOptions& options) {
  const auto config = read_config(model_dir);
  return entry_of(config).load(model_dir, config, options);
}

mx::Dtype checkpoint_dtype(const std::filesystem::path& model_dir) {
  const auto config = read_config(model_dir);
  for (const auto* object : {&config, Members(config).object("text_config")})
    for (const char* key : {"dtype", "torch_dtype"}) {
      const auto name = object ? Members(*object).string(key).value_or("") : "";
      if (name == "float32") return mx::float32;
      if (name == "float16") return mx::float16;
      if (name == "bfloat16") return mx::bfloat16;
    }
  return mx::bfloat16;
}

}  // namespace pippin::models
