#include "gguf/tokenizer.h"

#include <algorithm>
#include <string_view>
#include <tuple>
#include <unordered_map>
#include <vector>

#include "pippin/error.h"

namespace pippin::gguf {
namespace {

namespace json = boost::json;

[[noreturn]] void throw_invalid(const std::string& what) {
  throw Error(Code::invalid_argument, "[gguf] " + what);
}

// What `tokenizer.ggml.token_type` says of a token.
enum TokenType : std::int64_t {
  normal = 1,
  unknown = 2,
  control = 3,
  user_defined = 4,
  unused = 5,
  byte = 6
};

const std::string prefix = "tokenizer.ggml.";
constexpr std::string_view space_mark = "\u2581";

struct Vocabulary {
  std::vector<std::string_view> tokens;  ///< by id
  std::vector<std::int64_t> types;       ///< the same; empty: all normal

  explicit Vocabulary(const Metadata& metadata)
      : tokens(metadata.texts(prefix + "tokens")), types(metadata.integers(prefix + "token_type")) {
    if (tokens.empty())
      throw_invalid("metadata '" + prefix + "tokens' is missing: the file has no tokenizer");
    if (!types.empty() && types.size() != tokens.size())
      throw_invalid("metadata '" + prefix + "token_type' must have an entry a token");
  }

  std::int64_t type(std::size_t id) const { return types.empty() ? normal : types[id]; }
};

std::optional<std::string> named_token(const Metadata& metadata, const Vocabulary& vocabulary,
                                       const char* key) {
  const auto id = metadata.integer(prefix + key);
  if (!id) return {};
  if (*id < 0 || static_cast<std::size_t>(*id) >= vocabulary.tokens.size())
    throw_invalid("metadata '" + prefix + key + "' is " + std::to_string(*id) + ", but there are " +
                  std::to_string(vocabulary.tokens.size()) + " tokens");
  return std::string(vocabulary.tokens[static_cast<std::size_t>(*id)]);
}

json::object vocab_of(const Vocabulary& vocabulary) {
  json::object vocab;
  vocab.reserve(vocabulary.tokens.size());
  for (std::size_t id = 0; id < vocabulary.tokens.size(); ++id)
    vocab.emplace(vocabulary.tokens[id], id);  // the first of equal ones stays
  return vocab;
}

// Tokens that are matched as a whole: control tokens, and those that the vocabulary's maker added.
json::array added_tokens(const Vocabulary& vocabulary, bool normalized) {
  json::array added;
  for (std::size_t id = 0; id < vocabulary.tokens.size(); ++id) {
    const auto type = vocabulary.type(id);
    if (type != control && type != user_defined && type != unknown) continue;
    const bool special = type != user_defined;
    added.push_back({{"id", id},
                     {"content", vocabulary.tokens[id]},
                     {"single_word", false},
                     {"lstrip", false},
                     {"rstrip", false},
                     {"normalized", !special && normalized},
                     {"special", special}});
  }
  return added;
}

json::object template_part(const char* kind, const std::string& id, int type) {
  return {{kind, {{"id", id}, {"type_id", type}}}};
}

// BOS before a text and EOS behind it, where the file wants them.
json::value post_processor(const Metadata& metadata, const Vocabulary& vocabulary, bool adds_bos) {
  const auto bos = named_token(metadata, vocabulary, "bos_token_id");
  const auto eos = named_token(metadata, vocabulary, "eos_token_id");
  const bool first = bos && metadata.boolean(prefix + "add_bos_token").value_or(adds_bos);
  const bool last = eos && metadata.boolean(prefix + "add_eos_token").value_or(false);
  if (!first && !last) return nullptr;
  json::array single, pair;
  json::object tokens;
  const auto add = [&](const std::string& token, const char* key) {
    tokens[token] = {{"id", token},
                     {"ids", json::array{*metadata.integer(prefix + key)}},
                     {"tokens", json::array{token}}};
  };
  if (first) add(*bos, "bos_token_id");
  if (last) add(*eos, "eos_token_id");
  for (const int type : {0, 1}) {
    json::array one;
    if (first) one.push_back(template_part("SpecialToken", *bos, type));
    one.push_back(template_part("Sequence", type == 0 ? "A" : "B", type));
    if (last) one.push_back(template_part("SpecialToken", *eos, type));
    if (type == 0) single = one;
    for (auto& part : one) pair.push_back(std::move(part));
  }
  return {{"type", "TemplateProcessing"},
          {"single", single},
          {"pair", pair},
          {"special_tokens", tokens}};
}

json::object byte_level(bool prefix_space) {
  return {{"type", "ByteLevel"},
          {"add_prefix_space", prefix_space},
          {"trim_offsets", false},
          {"use_regex", false}};
}

json::object byte_level_bpe(const Metadata& metadata, const Vocabulary& vocabulary) {
  const auto& split = split_of(metadata.text(prefix + "pre").value_or("gpt-2"));
  json::array merges;
  for (const auto merge : metadata.texts(prefix + "merges")) merges.emplace_back(merge);
  const bool space = metadata.boolean(prefix + "add_space_prefix").value_or(false);
  json::object cut{{"type", "Split"},
                   {"pattern", {{"Regex", split.pattern}}},
                   {"behavior", "Isolated"},
                   {"invert", false}};
  json::object tokenizer;
  tokenizer["added_tokens"] = added_tokens(vocabulary, false);
  tokenizer["normalizer"] = split.nfc ? json::value{{"type", "NFC"}} : json::value(nullptr);
  tokenizer["pre_tokenizer"] = {{"type", "Sequence"},
                                {"pretokenizers", json::array{std::move(cut), byte_level(space)}}};
  tokenizer["post_processor"] = post_processor(metadata, vocabulary, split.bos);
  tokenizer["decoder"] = byte_level(space);
  tokenizer["model"] = {{"type", "BPE"},
                        {"ignore_merges", split.whole_first},
                        {"vocab", vocab_of(vocabulary)},
                        {"merges", std::move(merges)}};
  return tokenizer;
}

// SentencePiece merges the pair whose union has the highest score. The library wants the pairs in order.
json::array merges_by_score(const Metadata& metadata, const Vocabulary& vocabulary) {
  const auto scores = metadata.numbers(prefix + "scores");
  if (scores.size() != vocabulary.tokens.size())
    throw_invalid("metadata '" + prefix + "scores' must have an entry a token");
  std::unordered_map<std::string_view, std::size_t> ids;
  for (std::size_t id = 0; id < vocabulary.tokens.size(); ++id)
    if (vocabulary.type(id) == normal || vocabulary.type(id) == user_defined ||
        vocabulary.type(id) == unused)
      ids.emplace(vocabulary.tokens[id], id);
  struct Merge {
    double score;
    std::size_t left, right, at;
  };
  std::vector<Merge> merges;
  for (const auto& [token, id] : ids)
    for (std::size_t cut = 1; cut < token.size(); ++cut) {
      if ((static_cast<unsigned char>(token[cut]) & 0xc0) == 0x80) continue;  // within a character
      const auto left = ids.find(token.substr(0, cut)), right = ids.find(token.substr(cut));
      if (left != ids.end() && right != ids.end())
        merges.push_back({scores[id], left->second, right->second, id});
    }
  std::sort(merges.begin(), merges.end(), [](const Merge& a, const Merge& b) {
    return std::tie(b.score, a.at, a.left, a.right) < std::tie(a.score, b.at, b.left, b.right);
  });
  json::array list;
  list.reserve(merges.size());
  for (const auto& merge : merges)
    list.push_back(json::array{vocabulary.tokens[merge.left], vocabulary.tokens[merge.right]});
  return list;
}

json::object replace(std::string_view from, std::string_view to) {
  return {{"type", "Replace"}, {"pattern", {{"String", from}}}, {"content", to}};
}

json::object sentence_piece(const Metadata& metadata, const Vocabulary& vocabulary) {
  const bool space = metadata.boolean(prefix + "add_space_prefix").value_or(true);
  json::array normalizers,
      decoders{replace(space_mark, " "), {{"type", "ByteFallback"}}, {{"type", "Fuse"}}};
  if (space) {
    normalizers.push_back({{"type", "Prepend"}, {"prepend", space_mark}});
    decoders.push_back({{"type", "Strip"}, {"content", " "}, {"start", 1}, {"stop", 0}});
  }
  normalizers.push_back(replace(" ", space_mark));
  json::object model{{"type", "BPE"}, {"fuse_unk", true}, {"byte_fallback", true}};
  if (const auto token = named_token(metadata, vocabulary, "unknown_token_id"))
    model["unk_token"] = *token;
  model["vocab"] = vocab_of(vocabulary);
  model["merges"] = merges_by_score(metadata, vocabulary);
  json::object tokenizer;
  tokenizer["added_tokens"] = added_tokens(vocabulary, !space);
  tokenizer["normalizer"] = {{"type", "Sequence"}, {"normalizers", std::move(normalizers)}};
  tokenizer["pre_tokenizer"] = nullptr;
  tokenizer["post_processor"] = post_processor(metadata, vocabulary, true);
  tokenizer["decoder"] = {{"type", "Sequence"}, {"decoders", std::move(decoders)}};
  tokenizer["model"] = std::move(model);
  return tokenizer;
}

}  // namespace

std::string tokenizer_of(const Metadata& metadata) {
  const Vocabulary vocabulary(metadata);
  const auto kind = metadata.text(prefix + "model").value_or("");
  if (kind != "gpt2" && kind != "llama")
    throw_invalid("metadata '" + prefix + "model' is '" + kind +
                  "', which is not supported; known are: gpt2, llama");
  auto tokenizer =
      kind == "gpt2" ? byte_level_bpe(metadata, vocabulary) : sentence_piece(metadata, vocabulary);
  tokenizer["version"] = "1.0";
  tokenizer["truncation"] = tokenizer["padding"] = nullptr;
  return json::serialize(tokenizer);
}

json::object tokenizer_config_of(const Metadata& metadata) {
  json::object config;
  const Vocabulary vocabulary(metadata);
  for (const auto& [key, name] :
       {std::pair("bos_token_id", "bos_token"), std::pair("eos_token_id", "eos_token"),
        std::pair("unknown_token_id", "unk_token"), std::pair("padding_token_id", "pad_token")})
    if (auto token = named_token(metadata, vocabulary, key)) config[name] = std::move(*token);
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
