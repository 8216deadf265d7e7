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
};

// The names of dense ones are Hugging Face's own.
constexpr Family families[] = {
    {"cohere2"},
    {"ernie4_5"},
    {"exaone4"},
    {"gemma2"},
    {"gemma3_text"},
    {"glm4"},
    {"llama"},
    {"mistral"},
    {"olmo2"},
    {"olmo3"},
    {"phi3"},
    {"qwen2"},
    {"qwen3"},
    {"seed_oss"},
    {"smollm3"},
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

}  // namespace

MlxPlace MlxNames::place(const std::string& name) const {
  if (name.ends_with(".rotary_emb.inv_freq")) return {};
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
      return {family.experts, family.router,
              members.boolean("tie_word_embeddings").value_or(false)};
    known += (known.empty() ? "" : ", ") + std::string(family.model_type);
  }
  throw Error(Code::invalid_argument,
              "[convert] model_type '" + type + "' cannot be converted yet; these can: " + known);
}

}  // namespace pippin::models
