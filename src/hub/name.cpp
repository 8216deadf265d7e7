#include "hub/name.h"

#include <algorithm>
#include <cctype>

#include "pippin/error.h"

namespace pippin::hub {
namespace {

constexpr std::size_t max_part = 96;  // as the hub has it
constexpr std::size_t max_revision = 200;
constexpr std::string_view scheme = "hf://";

bool is_word(char c) { return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_'; }

// An organization or a repository.
bool is_part(std::string_view text) {
  const auto allowed = [](char c) { return is_word(c) || c == '-' || c == '.'; };
  return !text.empty() && text.size() <= max_part && is_word(text.front()) &&
         is_word(text.back()) && std::all_of(text.begin(), text.end(), allowed) &&
         text.find("..") == std::string_view::npos && text.find("--") == std::string_view::npos;
}

bool is_repo(std::string_view text) {
  const auto slash = text.find('/');
  return slash != std::string_view::npos && is_part(text.substr(0, slash)) &&
         is_part(text.substr(slash + 1)) && !text.ends_with(".git");
}

// It becomes a path below refs/.
bool is_revision(std::string_view text) {
  const auto allowed = [](char c) {
    return is_word(c) || c == '-' || c == '.' || c == '/' || c == '+';
  };
  return !text.empty() && text.size() <= max_revision &&
         std::all_of(text.begin(), text.end(), allowed) && is_word(text.front()) &&
         is_word(text.back()) && text.find("..") == std::string_view::npos &&
         text.find("//") == std::string_view::npos && text.find("/.") == std::string_view::npos;
}

// Ollama's habit is a colon before the size: qwen3:0.6b.
std::string as_short_name(std::string_view text) {
  std::string name(text);
  std::transform(name.begin(), name.end(), name.begin(), [](unsigned char c) {
    return c == ':' ? '-' : static_cast<char>(std::tolower(c));
  });
  return name;
}

std::string repo_of(std::string_view text) {
  if (is_repo(text)) return std::string(text);
  const std::string name = as_short_name(text);
  for (const ShortName& known : short_names())
    if (name == known.name) return known.repo;
  return "";
}

// As file names end.
bool is_quantization(std::string_view text) {
  const auto allowed = [](char c) { return is_word(c) || c == '-' || c == '.'; };
  return !text.empty() && text.size() <= max_part &&
         std::all_of(text.begin(), text.end(), allowed) && is_word(text.front()) &&
         is_word(text.back());
}

// "organization/name:Q4_K_M", as llama.cpp's users write it; no short name has a slash.
ModelName name_of(std::string_view text) {
  const auto colon = text.find(':');
  if (colon == std::string_view::npos || !is_repo(text.substr(0, colon))) return {repo_of(text)};
  const auto quantization = text.substr(colon + 1);
  if (!is_quantization(quantization)) return {};
  return {std::string(text.substr(0, colon)), "main", std::string(quantization)};
}

}  // namespace

std::optional<ModelName> parse_model_name(std::string_view text) {
  const bool said = text.starts_with(scheme);
  const std::string_view rest = said ? text.substr(scheme.size()) : text;
  const auto at = rest.find('@');
  ModelName name = name_of(rest.substr(0, at));
  if (at != std::string_view::npos) name.revision = rest.substr(at + 1);
  if (!name.repo.empty() && is_revision(name.revision)) return name;
  if (said || (!name.repo.empty() && at != std::string_view::npos))
    throw Error(Code::invalid_argument,
                "'" + std::string(text) +
                    "' names no model of a hub; it would be organization/name, "
                    "organization/name@revision or organization/name:QUANTIZATION (GGUF)");
  return {};
}

bool is_commit(std::string_view text) {
  return text.size() == 40 && text.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

}  // namespace pippin::hub
