#include "gguf/tokenizer.h"

#include <optional>
#include <utility>
#include <vector>

#include "pippin/error.h"
#include "vocabulary/description.h"

namespace pippin::gguf {
namespace {

namespace json = boost::json;

[[noreturn]] void throw_invalid(const std::string& what) {
  throw Error(Code::invalid_argument, "[gguf] " + what);
}

const std::string prefix = "tokenizer.ggml.";
struct Vocabulary {
  std::vector<std::string> tokens;      ///< by id
  std::vector<vocabulary::Kind> kinds;  ///< the same; empty: all normal

  explicit Vocabulary(const Metadata& metadata) {
    for (const auto text : metadata.texts(prefix + "tokens")) tokens.emplace_back(text);
    for (const auto type : metadata.integers(prefix + "token_type"))
      kinds.push_back(static_cast<vocabulary::Kind>(type));
    if (tokens.empty())
      throw_invalid("metadata '" + prefix + "tokens' is missing: the file has no tokenizer");
    if (!kinds.empty() && kinds.size() != tokens.size())
      throw_invalid("metadata '" + prefix + "token_type' must have an entry a token");
  }
};

std::optional<vocabulary::NamedToken> named_token(const Metadata& metadata,
                                                  const Vocabulary& vocabulary, const char* key) {
  const auto id = metadata.integer(prefix + key);
  if (!id) return {};
  if (*id < 0 || static_cast<std::size_t>(*id) >= vocabulary.tokens.size())
    throw_invalid("metadata '" + prefix + key + "' is " + std::to_string(*id) + ", but there are " +
                  std::to_string(vocabulary.tokens.size()) + " tokens");
  return vocabulary::NamedToken{vocabulary.tokens[static_cast<std::size_t>(*id)], *id};
}

// BOS before a text and EOS behind it, where the file wants them.
vocabulary::Tokens tokens_of(const Metadata& metadata, const Vocabulary& vocabulary, bool adds_bos,
                             bool normalized) {
  vocabulary::Tokens tokens{vocabulary.tokens,
                            added_of(vocabulary.tokens, vocabulary.kinds, normalized)};
  if (metadata.boolean(prefix + "add_bos_token").value_or(adds_bos))
    tokens.first = named_token(metadata, vocabulary, "bos_token_id");
  if (metadata.boolean(prefix + "add_eos_token").value_or(false))
    tokens.last = named_token(metadata, vocabulary, "eos_token_id");
  return tokens;
}

std::string byte_level_bpe(const Metadata& metadata, const Vocabulary& vocabulary) {
  const auto name = metadata.text(prefix + "pre").value_or("gpt-2");
  const auto* split = vocabulary::find_split(name);
  if (!split)
    throw_invalid("metadata 'tokenizer.ggml.pre' is '" + name +
                  "', which is not supported; known are: " + vocabulary::split_names());
  vocabulary::ByteLevel model{*split, std::vector<std::string>()};
  for (const auto merge : metadata.texts(prefix + "merges")) model.merges->emplace_back(merge);
  model.prefix_space = metadata.boolean(prefix + "add_space_prefix").value_or(false);
  return tokenizer_json(tokens_of(metadata, vocabulary, split->bos, false), model);
}

std::string sentence_piece(const Metadata& metadata, const Vocabulary& vocabulary) {
  vocabulary::SentencePiece model;
  model.kinds = vocabulary.kinds;
  model.scores = metadata.numbers(prefix + "scores");
  if (model.scores.size() != vocabulary.tokens.size())
    throw_invalid("metadata '" + prefix + "scores' must have an entry a token");
  model.dummy_prefix = metadata.boolean(prefix + "add_space_prefix").value_or(true);
  if (const auto token = named_token(metadata, vocabulary, "unknown_token_id"))
    model.unknown = token->text;
  return tokenizer_json(tokens_of(metadata, vocabulary, true, true), model);
}

}  // namespace

std::string tokenizer_of(const Metadata& metadata) {
  const Vocabulary vocabulary(metadata);
  const auto kind = metadata.text(prefix + "model").value_or("");
  if (kind != "gpt2" && kind != "llama")
    throw_invalid("metadata '" + prefix + "model' is '" + kind +
                  "', which is not supported; known are: gpt2, llama");
  return kind == "gpt2" ? byte_level_bpe(metadata, vocabulary)
                        : sentence_piece(metadata, vocabulary);
}

json::object tokenizer_config_of(const Metadata& metadata) {
  json::object config;
  const Vocabulary vocabulary(metadata);
  for (const auto& [key, name] :
       {std::pair("bos_token_id", "bos_token"), std::pair("eos_token_id", "eos_token"),
        std::pair("unknown_token_id", "unk_token"), std::pair("padding_token_id", "pad_token")})
    if (auto token = named_token(metadata, vocabulary, key)) config[name] = token->text;
  json::array templates;
  const std::string key = "tokenizer.chat_template";
  if (const auto text = metadata.text(key))
    templates.push_back({{"name", "default"}, {"template", *text}});
  for (const auto& named : metadata.keys())
    if (named.starts_with(key + "."))
      templates.push_back(
          {{"name", named.substr(key.size() + 1)}, {"template", *metadata.text(named)}});
  if (!templates.empty()) config["chat_template"] = std::move(templates);
  return config;
}

}  // namespace pippin::gguf
