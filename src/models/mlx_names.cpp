#include "models/mlx_names.h"

#include <charconv>
#include <utility>

#include "base/json.h"
#include "pippin/error.h"

namespace pippin::models {
namespace {

struct Family {
  const char* model_type;
  const char* experts = "";
  const char* router = "";
  const char* plain = "";
};

// The names of dense ones are Hugging Face's own.
constexpr Family families[] = {
    {"cohere2"},
    {"ernie4_5"},
    {"exaone4"},
    {"gemma2"},
    {"gemma3_text"},
    {"gemma4_text"},
    {"glm4"},
    {"granite"},
    {"hunyuan_v1_dense"},
    {"llama"},
    {"ministral3"},
    {"mistral"},
    {"olmo2"},
    {"olmo3"},
    {"phi3"},
    {"qwen2"},
    {"qwen3"},
    {"seed_oss"},
    {"smollm3"},
    {"deepseek_v2", ".mlp.experts.", "", "mlp.gate"},
    {"mixtral", ".block_sparse_moe.experts."},
    {"olmoe", ".mlp.experts."},
    {"qwen2_moe", ".mlp.experts."},
    {"qwen3_moe", ".mlp.experts.", "mlp.gate"},
};

// Mixtral's names of an expert's matrices.
std::string matrix_name(const std::string& name) {
  static constexpr std::pair<const char*, const char*> renamed[] = {
      {"w1.", "gate_proj."}, {"w2.", "down_proj."}, {"w3.", "up_proj."}};
  for (const auto& [theirs, ours] : renamed)
    if (name.starts_with(theirs)) return ours + name.substr(3);
  return name;
}

// -1 where no layer shares.
int first_shared_of(const Members& config) {
  if (config.boolean("enable_moe_block").value_or(false))
    throw Error(Code::invalid_argument,
                "[convert] enable_moe_block = true cannot be converted yet");
  const auto shared = config.integer_or("num_kv_shared_layers", 0);
  return shared > 0 ? static_cast<int>(config.required_integer("num_hidden_layers") - shared) : -1;
}

}  // namespace

// Whether the tensor makes keys or values of a layer that reads those of an earlier one.
bool MlxNames::is_shared(const std::string& name) const {
  static const std::string layers = "model.layers.";
  int layer = -1;
  if (name.starts_with(layers))
    std::from_chars(name.data() + layers.size(), name.data() + name.size(), layer);
  if (layer < first_shared) return false;
  const auto in = [&](const char* part) { return name.find(part) != std::string::npos; };
  return in(".self_attn.k_proj.") || in(".self_attn.v_proj.") || in(".self_attn.k_norm.");
}

MlxPlace MlxNames::place(const std::string& name) const {
  if (name.ends_with(".rotary_emb.inv_freq")) return {};
  if (first_shared >= 0 && is_shared(name)) return {};
  if (tied && name.starts_with("lm_head.")) return {};
  const auto at = experts.empty() ? std::string::npos : name.find(experts);
  if (at == std::string::npos) return {name};
  const auto number = at + experts.size();
  int expert = -1;
  const auto end = std::from_chars(name.data() + number, name.data() + name.size(), expert).ptr;
  const auto rest = static_cast<std::size_t>(end - name.data());
  if (expert < 0 || rest >= name.size() || name[rest] != '.') return {name};
  const auto module = name.substr(0, at) + experts.substr(0, experts.rfind("experts."));
  return {module + "switch_mlp." + matrix_name(name.substr(rest + 1)), expert};
}

MlxNames mlx_names(const json::object& config) {
  const Members members(config);
  const auto type = members.string("model_type").value_or("");
  std::string known;
  for (const auto& family : families) {
    if (type == family.model_type)
      return {family.experts, family.router, family.plain,
              members.boolean("tie_word_embeddings").value_or(false), first_shared_of(members)};
    known += (known.empty() ? "" : ", ") + std::string(family.model_type);
  }
  throw Error(Code::invalid_argument,
              "[convert] model_type '" + type + "' cannot be converted yet; these can: " + known);
}

}  // namespace pippin::models
