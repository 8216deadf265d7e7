#include "vocabulary/description.h"

#include <algorithm>
#include <array>
#include <boost/json.hpp>
#include <string_view>
#include <tuple>
#include <unordered_map>
#include <utility>

#include "pippin/error.h"

namespace pippin::vocabulary {
namespace {

namespace json = boost::json;

constexpr std::string_view space_mark = "\u2581";
constexpr int all_leading = 1 << 20;  // spaces: more than an answer has

[[noreturn]] void throw_invalid(const std::string& what) {
  throw Error(Code::invalid_argument, "[tokenizer] " + what);
}

// A token beyond the model's own needs a place there, too: the library numbers others in turn.
json::object vocab_of(const Tokens& tokens) {
  json::object vocab;
  vocab.reserve(tokens.texts.size() + tokens.added.size());
  for (std::size_t id = 0; id < tokens.texts.size(); ++id) vocab.emplace(tokens.texts[id], id);
  for (const auto& token : tokens.added) vocab.emplace(token.text, token.id);
  return vocab;
}

json::array added_tokens(const Tokens& tokens) {
  json::array added;
  for (const auto& token : tokens.added)
    added.push_back({{"id", token.id},
                     {"content", token.text},
                     {"single_word", token.single_word},
                     {"lstrip", token.left_strip},
                     {"rstrip", token.right_strip},
                     {"normalized", token.normalized},
                     {"special", token.special}});
  return added;
}

json::object template_part(const char* kind, const std::string& id, int type) {
  return {{kind, {{"id", id}, {"type_id", type}}}};
}

json::value post_processor(const Tokens& tokens) {
  if (!tokens.first && !tokens.last) return nullptr;
  json::object named;
  for (const auto& token : {tokens.first, tokens.last})
    if (token)
      named[token->text] = {{"id", token->text},
                            {"ids", json::array{token->id}},
                            {"tokens", json::array{token->text}}};
  json::array single, pair;
  for (const int type : {0, 1}) {
    json::array one;
    if (tokens.first) one.push_back(template_part("SpecialToken", tokens.first->text, type));
    one.push_back(template_part("Sequence", type == 0 ? "A" : "B", type));
    if (tokens.last) one.push_back(template_part("SpecialToken", tokens.last->text, type));
    if (type == 0) single = one;
    for (auto& part : one) pair.push_back(std::move(part));
  }
  return {{"type", "TemplateProcessing"},
          {"single", single},
          {"pair", pair},
          {"special_tokens", named}};
}

struct Parts {
  json::value normalizer, pre_tokenizer;
  json::object decoder, model;
};

std::string document(const Tokens& tokens, Parts parts) {
  json::object tokenizer{{"version", "1.0"}, {"truncation", nullptr}, {"padding", nullptr}};
  tokenizer["added_tokens"] = added_tokens(tokens);
  tokenizer["normalizer"] = std::move(parts.normalizer);
  tokenizer["pre_tokenizer"] = std::move(parts.pre_tokenizer);
  tokenizer["post_processor"] = post_processor(tokens);
  tokenizer["decoder"] = std::move(parts.decoder);
  tokenizer["model"] = std::move(parts.model);
  return json::serialize(tokenizer);
}

bool begins_character(char c) { return (static_cast<unsigned char>(c) & 0xc0) != 0x80; }

// All pairs of mergeable tokens whose union is one, too, the highest score of that first.
template <class Mergeable, class Score>
json::array merges_by_score(const std::vector<std::string>& texts, const Mergeable& mergeable,
                            const Score& score) {
  std::unordered_map<std::string_view, std::size_t> ids;
  ids.reserve(texts.size());
  for (std::size_t id = 0; id < texts.size(); ++id)
    if (mergeable(id)) ids.emplace(texts[id], id);
  struct Merge {
    double score;
    std::size_t left, right, at;
  };
  std::vector<Merge> merges;
  for (const auto& [token, id] : ids)
    for (std::size_t cut = 1; cut < token.size(); ++cut) {
      if (!begins_character(token[cut])) continue;
      const auto left = ids.find(token.substr(0, cut)), right = ids.find(token.substr(cut));
      if (left != ids.end() && right != ids.end())
        merges.push_back({score(id), left->second, right->second, id});
    }
  std::sort(merges.begin(), merges.end(), [](const Merge& a, const Merge& b) {
    return std::tie(b.score, a.at, a.left, a.right) < std::tie(a.score, b.at, b.left, b.right);
  });
  json::array list;
  list.reserve(merges.size());
  for (const auto& merge : merges)
    list.push_back(json::array{texts[merge.left], texts[merge.right]});
  return list;
}

json::object byte_level_step(bool prefix_space) {
  return {{"type", "ByteLevel"},
          {"add_prefix_space", prefix_space},
          {"trim_offsets", false},
          {"use_regex", false}};
}

json::object replace(std::string_view kind, std::string_view from, std::string_view to) {
  return {{"type", "Replace"}, {"pattern", {{kind, from}}}, {"content", to}};
}

json::value sequence(const char* members, json::array steps) {
  if (steps.empty()) return nullptr;
  return {{"type", "Sequence"}, {members, std::move(steps)}};
}

std::string escaped(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (std::string_view(R"(\.+*?()|[]{}^$#&-~ )").find(c) != std::string_view::npos) out += '\\';
    out += c;
  }
  return out;
}

Kind kind_of(const SentencePiece& model, std::size_t id) {
  return model.kinds.empty() ? Kind::normal : model.kinds[id];
}

// Where the space before (behind) a text goes: nowhere in an empty one, nor in a text that is one of the tokens that are searched for in
// normalized texts, since the library normalizes their spelling, too.
std::string prefix_place(const Tokens& tokens, const SentencePiece& model) {
  if (model.space_behind) return R"((?s)(?<=.)\z)";
  std::string names;
  for (const auto& token : tokens.added)
    if (token.normalized) names += (names.empty() ? "" : "|") + escaped(token.text);
  return R"((?s)\A(?=.))" + (names.empty() ? "" : "(?!(?:" + names + R"()\z))");
}

json::array normalizers(const Tokens& tokens, const SentencePiece& model) {
  const std::string mark(model.escapes_spaces ? space_mark : " ");
  json::array steps;
  if (!model.charsmap.empty())
    steps.push_back({{"type", "Precompiled"}, {"precompiled_charsmap", model.charsmap}});
  if (model.removes_extra_spaces) {  // a mark spelt out counts as a space at the end alone
    steps.push_back(
        replace("Regex", model.escapes_spaces ? "\\A +|[ \u2581]+\\z" : R"(\A +| +\z)", ""));
    steps.push_back(replace("Regex", " {2,}", " "));
  }
  if (model.escapes_spaces) steps.push_back(replace("String", " ", space_mark));
  if (model.dummy_prefix && !model.prefix_at_start_only)
    steps.push_back(replace("Regex", prefix_place(tokens, model), mark));
  return steps;
}

// The unigram model would take the spelling of a byte's token, such as <0x41>, for that byte: it is cut behind its first character.
json::array pre_tokenizers(const SentencePiece& model) {
  json::array steps;
  if (model.dummy_prefix && model.prefix_at_start_only)
    steps.push_back({{"type", "Metaspace"},
                     {"replacement", space_mark},
                     {"prepend_scheme", "first"},
                     {"split", false}});
  if (model.unigram && model.byte_fallback)
    steps.push_back({{"type", "Split"},
                     {"pattern", {{"Regex", "(?<=<)(?=0x[0-9A-F]{2}>)"}}},
                     {"behavior", "Isolated"},
                     {"invert", false}});
  return steps;
}

json::object decoder_of(const SentencePiece& model) {
  json::array steps{replace("String", space_mark, " ")};
  if (model.byte_fallback) steps.emplace_back(json::object{{"type", "ByteFallback"}});
  steps.emplace_back(json::object{{"type", "Fuse"}});
  if (model.dummy_prefix)
    steps.push_back({{"type", "Strip"},
                     {"content", " "},
                     {"start", model.removes_extra_spaces ? all_leading : 1},
                     {"stop", 0}});
  return {{"type", "Sequence"}, {"decoders", std::move(steps)}};
}

json::object bpe_of(const Tokens& tokens, const SentencePiece& piece) {
  json::object model{{"type", "BPE"}, {"fuse_unk", true}, {"byte_fallback", piece.byte_fallback}};
  if (piece.unknown) model["unk_token"] = *piece.unknown;
  model["vocab"] = vocab_of(tokens);
  const auto mergeable = [&](std::size_t id) {
    const Kind kind = kind_of(piece, id);
    return kind == Kind::normal || kind == Kind::user_defined || kind == Kind::unused;
  };
  model["merges"] =
      merges_by_score(tokens.texts, mergeable, [&](std::size_t id) { return piece.scores[id]; });
  return model;
}

// The score of an unknown character follows from the lowest of the vocabulary, to which pieces that no text has must not belong.
json::object unigram_of(const Tokens& tokens, const SentencePiece& piece) {
  double lowest = 0;
  for (std::size_t id = 0; id < tokens.texts.size(); ++id)
    if (kind_of(piece, id) == Kind::normal) lowest = std::min(lowest, piece.scores[id]);
  std::size_t size = tokens.texts.size();
  for (const auto& token : tokens.added)
    size = std::max(size, static_cast<std::size_t>(token.id) + 1);
  json::array vocab;
  vocab.reserve(size);
  for (std::size_t id = 0; id < size; ++id) {
    const bool known = id < tokens.texts.size();
    vocab.push_back(
        json::array{known ? tokens.texts[id] : "<|reserved_" + std::to_string(id) + "|>",
                    known && kind_of(piece, id) == Kind::normal ? piece.scores[id] : lowest});
  }
  for (const auto& token : tokens.added)
    vocab[static_cast<std::size_t>(token.id)].get_array()[0] = token.text;
  json::object model{{"type", "Unigram"}, {"byte_fallback", piece.byte_fallback}};
  const auto unknown = piece.unknown
                           ? std::find(tokens.texts.begin(), tokens.texts.end(), *piece.unknown)
                           : tokens.texts.end();
  if (unknown != tokens.texts.end()) model["unk_id"] = unknown - tokens.texts.begin();
  model["vocab"] = std::move(vocab);
  return model;
}

}  // namespace

std::string tokenizer_json(const Tokens& tokens, const ByteLevel& byte_level) {
  json::object cut{{"type", "Split"},
                   {"pattern", {{"Regex", byte_level.split.pattern}}},
                   {"behavior", "Isolated"},
                   {"invert", false}};
  Parts parts;
  if (byte_level.split.nfc) parts.normalizer = {{"type", "NFC"}};
  parts.pre_tokenizer = sequence(
      "pretokenizers", json::array{std::move(cut), byte_level_step(byte_level.prefix_space)});
  parts.decoder = byte_level_step(byte_level.prefix_space);
  parts.model = {{"type", "BPE"}, {"ignore_merges", byte_level.split.whole_first}};
  parts.model["vocab"] = vocab_of(tokens);
  if (byte_level.merges)
    parts.model["merges"] = json::array(byte_level.merges->begin(), byte_level.merges->end());
  else
    parts.model["merges"] = merges_by_score(
        tokens.texts, [&](std::size_t id) { return id >= byte_level.num_reserved; },
        [](std::size_t id) { return -static_cast<double>(id); });
  return document(tokens, std::move(parts));
}

std::string tokenizer_json(const Tokens& tokens, const SentencePiece& piece) {
  if (piece.scores.size() != tokens.texts.size())
    throw_invalid("there must be a score for each of the " + std::to_string(tokens.texts.size()) +
                  " tokens, not " + std::to_string(piece.scores.size()));
  Parts parts;
  parts.normalizer = sequence("normalizers", normalizers(tokens, piece));
  parts.pre_tokenizer = sequence("pretokenizers", pre_tokenizers(piece));
  parts.decoder = decoder_of(piece);
  parts.model = piece.unigram ? unigram_of(tokens, piece) : bpe_of(tokens, piece);
  return document(tokens, std::move(parts));
}

std::vector<AddedToken> added_of(const std::vector<std::string>& texts,
                                 const std::vector<Kind>& kinds, bool normalized) {
  std::vector<AddedToken> added;
  for (std::size_t id = 0; id < kinds.size(); ++id) {
    if (kinds[id] != Kind::control && kinds[id] != Kind::user_defined && kinds[id] != Kind::unknown)
      continue;
    AddedToken token{static_cast<std::int64_t>(id), texts[id]};
    token.special = kinds[id] != Kind::user_defined;
    token.normalized = !token.special && normalized;
    added.push_back(std::move(token));
  }
  return added;
}

std::string byte_level_text(const std::vector<std::uint8_t>& bytes) {
  static const auto alphabet = [] {
    std::array<std::string, 256> table;
    int others = 0;
    for (int byte = 0; byte < 256; ++byte) {
      const bool printable = (byte > 32 && byte < 127) || (byte > 160 && byte != 173);
      const int code = printable ? byte : 256 + others++;
      if (code < 128)
        table[static_cast<std::size_t>(byte)] = static_cast<char>(code);
      else
        table[static_cast<std::size_t>(byte)] = {static_cast<char>(0xc0 | code >> 6),
                                                 static_cast<char>(0x80 | (code & 63))};
    }
    return table;
  }();
  std::string text;
  for (const auto byte : bytes) text += alphabet[byte];
  return text;
}

}  // namespace pippin::vocabulary
