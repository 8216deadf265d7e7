#include "vocabulary/model_tokenizer.h"

#include <algorithm>
#include <charconv>
#include <utility>

#include "base/files.h"
#include "base/json.h"
#include "pippin/error.h"
#include "vocabulary/formats.h"

namespace pippin::vocabulary {
namespace {

namespace fs = std::filesystem;

constexpr std::int64_t most_added = 1 << 20;

std::optional<std::string> text_of(const fs::path& file) {
  std::error_code ignored;
  if (!fs::is_regular_file(file, ignored)) return {};
  return read_text(file);
}

json::object json_of(const fs::path& file) {
  const auto text = text_of(file);
  return text ? parse_json_object(*text, file.string()) : json::object();
}

// The class that transformers would read the files with.
std::string class_of(const json::object& config) {
  if (const auto name = Members(config).string("tokenizer_class")) return *name;
  const auto* map = Members(config).object("auto_map");
  const auto* names = map ? Members(*map, "auto_map").find("AutoTokenizer") : nullptr;
  if (names && names->is_array() && !names->get_array().empty()) names = &names->get_array()[0];
  if (!names || !names->is_string()) return "";
  const std::string name(names->get_string());
  return name.substr(name.rfind('.') + 1);
}

std::int64_t checked_id(std::string_view key, std::int64_t id) {
  if (id < 0 || id > most_added)
    refuse("the added token '" + std::string(key) + "' has the id " + std::to_string(id));
  return id;
}

AddedToken described(std::string_view key, const json::value& value) {
  std::int64_t id = -1;
  const auto [end, error] = std::from_chars(key.data(), key.data() + key.size(), id);
  if (error != std::errc() || end != key.data() + key.size() || !value.is_object())
    refuse("added_tokens_decoder: '" + std::string(key) + "' is no id of a token");
  const Members token(value.get_object(), "added_tokens_decoder");
  return {checked_id(key, id),
          token.string("content").value_or(""),
          token.boolean("special").value_or(false),
          token.boolean("normalized").value_or(false),
          token.boolean("lstrip").value_or(false),
          token.boolean("rstrip").value_or(false),
          token.boolean("single_word").value_or(false)};
}

// What tokenizer_config.json adds, and added_tokens.json, which knows less of a token.
std::vector<AddedToken> added_by(const fs::path& dir, const json::object& config) {
  std::vector<AddedToken> added;
  if (const auto* listed = Members(config).object("added_tokens_decoder")) {
    for (const auto& [key, value] : *listed) added.push_back(described(key, value));
    return added;
  }
  for (const auto& [text, value] : json_of(dir / "added_tokens.json")) {
    if (!value.is_int64()) refuse("added_tokens.json: '" + std::string(text) + "' has no id");
    added.push_back({checked_id(text, value.get_int64()), text, text.starts_with("<|")});
  }
  return added;
}

// A token that is added under the id of another replaces it.
void add(const std::vector<AddedToken>& added, Tokens& tokens) {
  for (const auto& token : added) {
    if (token.text.empty()) continue;
    std::erase_if(tokens.added, [&](const AddedToken& other) { return other.id == token.id; });
    tokens.added.push_back(token);
    if (static_cast<std::size_t>(token.id) < tokens.texts.size())
      tokens.texts[static_cast<std::size_t>(token.id)] = token.text;
  }
}

std::string spelling(const json::value* token) {
  if (token && token->is_object()) token = token->get_object().if_contains("content");
  return token && token->is_string() ? std::string(token->get_string()) : "";
}

std::optional<NamedToken> find(const Tokens& tokens, const std::string& text) {
  for (const auto& token : tokens.added)
    if (token.text == text) return NamedToken{text, token.id};
  const auto found = std::find(tokens.texts.begin(), tokens.texts.end(), text);
  if (text.empty() || found == tokens.texts.end()) return {};
  return NamedToken{text, found - tokens.texts.begin()};
}

// The token that the config names, else the one that the file does.
std::optional<NamedToken> named(const json::object& config, const char* key, const Tokens& tokens,
                                const std::optional<NamedToken>& otherwise) {
  const auto* token = config.if_contains(key);
  return token ? find(tokens, spelling(token)) : otherwise;
}

void set_ends(const json::object& config, const Names& names, bool adds_bos, Tokens& tokens) {
  if (Members(config).boolean("add_bos_token").value_or(adds_bos))
    tokens.first = named(config, "bos_token", tokens, names.bos);
  if (Members(config).boolean("add_eos_token").value_or(false))
    tokens.last = named(config, "eos_token", tokens, names.eos);
}

// A tokenizer as it was read, with the text that tokenizer.json would be.
struct Description {
  std::string tokenizer;
  Names names;
};

Description describe(SentencePieceFile file, const fs::path& dir, const json::object& config) {
  add(added_by(dir, config), file.tokens);
  file.model.kinds.resize(file.tokens.texts.size());
  file.model.prefix_at_start_only = !Members(config).boolean("legacy").value_or(true);
  if (!Members(config).boolean("add_prefix_space").value_or(true)) file.model.dummy_prefix = false;
  if (file.names.unknown)
    file.model.unknown = file.tokens.texts[static_cast<std::size_t>(file.names.unknown->id)];
  set_ends(config, file.names, true, file.tokens);
  return {tokenizer_json(file.tokens, file.model), file.names};
}

Description describe(ByteLevelFile file, const fs::path& dir, const json::object& config,
                     bool adds_bos) {
  add(added_by(dir, config), file.tokens);
  file.model.prefix_space = Members(config).boolean("add_prefix_space").value_or(false);
  set_ends(config, file.names, adds_bos, file.tokens);
  return {tokenizer_json(file.tokens, file.model), file.names};
}

bool is_tiktoken_name(const fs::path& file) {
  return file.filename() == "tiktoken.model" || file.extension() == ".tiktoken";
}

// The file that tells the tokenizer, the most telling first.
std::optional<fs::path> find_file(const fs::path& dir) {
  std::error_code ignored;
  for (const char* name : {"tekken.json", "tokenizer.model", "tiktoken.model", "vocab.json"})
    if (fs::is_regular_file(dir / name, ignored)) return dir / name;
  std::vector<fs::path> found;
  for (const auto& entry : fs::directory_iterator(dir, ignored))
    if (is_tiktoken_name(entry.path())) found.push_back(entry.path());
  std::sort(found.begin(), found.end());
  if (found.empty()) return {};
  return found.front();
}

std::string merges_beside(const fs::path& vocab) {
  if (auto merges = text_of(vocab.parent_path() / "merges.txt")) return std::move(*merges);
  refuse("there is no merges.txt beside it");
}

Description read(const fs::path& file, const json::object& config) {
  const auto dir = file.parent_path();
  const auto text = read_text(file);
  const auto kind = class_of(config);
  if (file.filename() == "tekken.json") return describe(read_tekken(text), dir, config, true);
  if (file.filename() == "vocab.json")
    return describe(read_vocab_and_merges(text, merges_beside(file), kind), dir, config, false);
  if (is_tiktoken_name(file) || is_tiktoken(text))
    return describe(read_tiktoken(text, kind), dir, config, false);
  return describe(read_sentence_piece(text), dir, config);
}

Description read_named(const fs::path& file, const json::object& config) {
  try {
    return read(file, config);
  } catch (const Error& error) {
    throw Error(error.code(), file.string() + ": " + error.what());
  }
}

std::string config_of(const Names& names) {
  json::object config;
  for (const auto& [key, token] :
       {std::pair("bos_token", names.bos), std::pair("eos_token", names.eos),
        std::pair("unk_token", names.unknown), std::pair("pad_token", names.padding)})
    if (token) config[key] = token->text;
  return json::serialize(config);
}

}  // namespace

void refuse(const std::string& why) { throw Error(Code::invalid_argument, why); }

std::optional<std::string> described_file(const fs::path& dir, const std::string& name) {
  const bool tokenizer = name == "tokenizer.json";
  std::error_code ignored;
  if (!tokenizer &&
      (name != "tokenizer_config.json" || fs::exists(dir / "tokenizer.json", ignored)))
    return {};
  const auto file = find_file(dir);
  if (!file) return {};
  auto description = read_named(*file, json_of(dir / "tokenizer_config.json"));
  return tokenizer ? std::move(description.tokenizer) : config_of(description.names);
}

bool is_tokenizer_file(const std::string& name) {
  static constexpr const char* names[] = {"tokenizer.json", "tekken.json", "tokenizer.model",
                                          "vocab.json", "merges.txt"};
  return std::find(std::begin(names), std::end(names), name) != std::end(names) ||
         (is_tiktoken_name(name) && name.find('/') == std::string::npos);
}

}  // namespace pippin::vocabulary
