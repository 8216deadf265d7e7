#include "text/special_tokens.h"

#include <array>
#include <string_view>

#include "base/json.h"
#include "gguf/model_files.h"

namespace pippin::text {
namespace {

constexpr std::array<std::string_view, 7> kNames = {
    "bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token"};

/// The spelling in "<s>" or {"content": "<s>", ...}; empty where there is none.
std::string spelling(const json::value& token) {
  if (const auto* text = token.if_string()) return std::string(*text);
  const auto* added = token.if_object();
  const auto* content = added ? added->if_contains("content") : nullptr;
  const auto* text = content ? content->if_string() : nullptr;
  return text ? std::string(*text) : std::string();
}

void add(const json::object& config, std::map<std::string, std::string>& tokens) {
  for (const auto name : kNames) {
    const auto* token = config.if_contains(name);
    const std::string text = token ? spelling(*token) : std::string();
    if (!text.empty()) tokens.emplace(name, text);
  }
  // Multimodal checkpoints name further tokens (image_token ...), which templates may print.
  const auto* extra = config.if_contains("model_specific_special_tokens");
  if (!extra || !extra->is_object()) return;
  for (const auto& member : extra->get_object()) {
    const std::string text = spelling(member.value());
    if (!text.empty()) tokens.emplace(std::string(member.key()), text);
  }
}

}  // namespace

std::map<std::string, std::string> read_special_tokens(const std::filesystem::path& model_dir) {
  std::map<std::string, std::string> tokens;
  for (const auto* name : {"tokenizer_config.json", "special_tokens_map.json"})
    if (const auto config = gguf::model_json(model_dir, name)) add(*config, tokens);
  return tokens;
}

}  // namespace pippin::text
