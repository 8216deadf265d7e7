// Byte-level BPE by other names: Mistral's tekken.json, tiktoken's lists of ranks, GPT-2's vocab.json and merges.txt.
#include <algorithm>
#include <charconv>
#include <limits>

#include "base/base64.h"
#include "base/json.h"
#include "vocabulary/formats.h"

namespace pippin::vocabulary {
namespace {

constexpr std::size_t longest_token = 1 << 16;

std::string token_text(std::string_view base64) {
  return byte_level_text(decode_base64(base64, longest_token));
}

// The classes that read such files, as tokenizer_config.json names them, and their splits.
struct Class {
  const char* name;
  const char* split;
};
constexpr Class tiktoken_classes[] = {{"TikTokenTokenizer", "kimi-k2"},
                                      {"QWenTokenizer", "qwen2"},
                                      {"ChatGLM4Tokenizer", "llama3"},
                                      {"HYTokenizer", "qwen2"}};
constexpr Class vocab_classes[] = {{"GPT2Tokenizer", "gpt-2"}, {"Qwen2Tokenizer", "qwen2"}};

template <std::size_t N>
Split split_for(const std::string& kind, const Class (&classes)[N]) {
  std::string known;
  for (const auto& one : classes) {
    if (kind == one.name || kind == one.name + std::string("Fast")) return *find_split(one.split);
    known += (known.empty() ? "" : ", ") + std::string(one.name);
  }
  refuse("tokenizer_config.json must say by tokenizer_class how texts are cut; it says " +
         (kind.empty() ? "nothing" : "'" + kind + "'") + ", known are: " + known);
}

// ---- tekken

// Those of files that list none.
constexpr const char* first_specials[] = {"<unk>",
                                          "<s>",
                                          "</s>",
                                          "[INST]",
                                          "[/INST]",
                                          "[AVAILABLE_TOOLS]",
                                          "[/AVAILABLE_TOOLS]",
                                          "[TOOL_RESULTS]",
                                          "[/TOOL_RESULTS]",
                                          "[TOOL_CALLS]",
                                          "[IMG]",
                                          "<pad>",
                                          "[IMG_BREAK]",
                                          "[IMG_END]",
                                          "[PREFIX]",
                                          "[MIDDLE]",
                                          "[SUFFIX]",
                                          "[SYSTEM_PROMPT]",
                                          "[/SYSTEM_PROMPT]",
                                          "[TOOL_CONTENT]"};

std::vector<AddedToken> listed_specials(const Members& file) {
  std::vector<AddedToken> specials;
  const auto* listed = file.array("special_tokens");
  if (!listed) {
    for (const char* text : first_specials)
      specials.push_back({static_cast<std::int64_t>(specials.size()), text});
    return specials;
  }
  for (const auto& value : *listed) {
    if (!value.is_object()) refuse("special_tokens: an entry is no object");
    const Members entry(value.get_object(), "special_tokens");
    AddedToken token{entry.required_integer("rank"), entry.string("token_str").value_or("")};
    token.special = entry.boolean("is_control").value_or(true);
    specials.push_back(std::move(token));
  }
  return specials;
}

// By id, each number below `count` once.
std::vector<AddedToken> all_specials(const Members& file, std::int64_t count) {
  std::vector<AddedToken> specials(static_cast<std::size_t>(count));
  for (std::int64_t id = 0; id < count; ++id)
    specials[static_cast<std::size_t>(id)] = {id, "<SPECIAL_" + std::to_string(id) + ">"};
  for (auto& token : listed_specials(file)) {
    if (token.id < 0 || token.id >= count || token.text.empty())
      refuse("special_tokens: '" + token.text + "' has the rank " + std::to_string(token.id) +
             ", of " + std::to_string(count));
    const auto id = static_cast<std::size_t>(token.id);
    specials[id] = std::move(token);
  }
  return specials;
}

std::optional<NamedToken> find_named(const std::vector<AddedToken>& tokens, std::string_view text) {
  for (const auto& token : tokens)
    if (token.text == text) return NamedToken{token.text, token.id};
  return {};
}

void read_ranks(const json::array& vocab, std::size_t num_special,
                std::vector<std::string>& texts) {
  for (const auto& value : vocab) {
    if (!value.is_object()) refuse("vocab: an entry is no object");
    const Members entry(value.get_object(), "vocab");
    const auto rank = entry.required_integer("rank");
    if (rank < 0 || static_cast<std::size_t>(rank) + num_special >= texts.size()) continue;
    auto& text = texts[static_cast<std::size_t>(rank) + num_special];
    if (!text.empty()) refuse("vocab: rank " + std::to_string(rank) + " occurs twice");
    text = token_text(entry.string("token_bytes").value_or(""));
  }
  const auto missing = std::find(texts.begin(), texts.end(), "");
  if (missing != texts.end())
    refuse("vocab: rank " +
           std::to_string(missing - texts.begin() - static_cast<std::ptrdiff_t>(num_special)) +
           " has no token_bytes");
}

// ---- tiktoken

struct Line {
  std::string_view token;
  std::int64_t rank = -1;
};

std::optional<Line> parse_line(std::string_view line) {
  const auto space = line.find(' ');
  if (space == std::string_view::npos || space == 0) return {};
  Line parsed{line.substr(0, space)};
  if (!std::all_of(parsed.token.begin(), parsed.token.end(), is_base64)) return {};
  const auto number = line.substr(space + 1);
  const auto [end, error] =
      std::from_chars(number.data(), number.data() + number.size(), parsed.rank);
  if (error != std::errc() || end != number.data() + number.size() || parsed.rank < 0) return {};
  return parsed;
}

template <class Use>
void for_each_line(std::string_view text, const Use& use) {
  while (!text.empty()) {
    const auto end = std::min(text.find('\n'), text.size());
    auto line = text.substr(0, end);
    if (line.ends_with('\r')) line.remove_suffix(1);
    text.remove_prefix(std::min(end + 1, text.size()));
    use(line);
  }
}

// What the classes' own sources add behind the ranks. tokenizer_config.json may name some of them otherwise.
std::vector<AddedToken> own_specials(const std::string& kind, std::int64_t first) {
  std::vector<AddedToken> tokens;
  const auto add = [&](const std::string& text) {
    tokens.push_back({first + static_cast<std::int64_t>(tokens.size()), text});
  };
  if (kind == "TikTokenTokenizer")
    for (int i = 0; i < 256; ++i) add("<|reserved_token_" + std::to_string(first + i) + "|>");
  if (kind == "QWenTokenizer") {
    for (const char* text : {"<|endoftext|>", "<|im_start|>", "<|im_end|>"}) add(text);
    for (int i = 0; i < 205; ++i) add("<|extra_" + std::to_string(i) + "|>");
  }
  return tokens;
}

}  // namespace

ByteLevelFile read_tekken(const std::string& text) {
  const auto document = parse_json_object(text, "tekken.json");
  const Members file(document);
  const auto* settings = file.object("config");
  const auto* vocab = file.array("vocab");
  if (!settings || !vocab) refuse(std::string("it has no ") + (settings ? "vocab" : "config"));
  const Members config(*settings, "config");
  const auto size = config.required_integer("default_vocab_size");
  const auto num_special = config.required_integer("default_num_special_tokens");
  if (num_special < 0 || size <= num_special ||
      static_cast<std::size_t>(size - num_special) > vocab->size())
    refuse("config.default_vocab_size is " + std::to_string(size) + ", but there are " +
           std::to_string(vocab->size()) + " tokens and " + std::to_string(num_special) +
           " special ones");
  ByteLevelFile read;
  read.model.split = {"", config.string("pattern").value_or(""), false, true};
  if (read.model.split.pattern.empty()) refuse("config.pattern is missing");
  read.model.num_reserved = static_cast<std::size_t>(num_special);
  read.tokens.added = all_specials(file, num_special);
  read.tokens.texts.resize(static_cast<std::size_t>(size));
  for (std::size_t id = 0; id < read.tokens.added.size(); ++id)
    read.tokens.texts[id] = read.tokens.added[id].text;
  read_ranks(*vocab, read.model.num_reserved, read.tokens.texts);
  const auto& specials = read.tokens.added;
  read.names = {find_named(specials, "<s>"), find_named(specials, "</s>"),
                find_named(specials, "<unk>"), find_named(specials, "<pad>")};
  return read;
}

bool is_tiktoken(std::string_view text) {
  return parse_line(text.substr(0, text.find_first_of("\r\n"))).has_value();
}

ByteLevelFile read_tiktoken(std::string_view text, const std::string& kind) {
  ByteLevelFile read;
  read.model.split = split_for(kind, tiktoken_classes);
  read.model.split.whole_first = true;
  std::int64_t number = 0;
  for_each_line(text, [&](std::string_view line) {
    if (line.empty()) return;
    ++number;
    const auto parsed = parse_line(line);
    if (!parsed) refuse("line " + std::to_string(number) + " is no token in base64 with its rank");
    if (parsed->rank != number - 1)
      refuse("the ranks must be 0, 1, 2 ...; line " + std::to_string(number) + " has " +
             std::to_string(parsed->rank));
    read.tokens.texts.push_back(token_text(parsed->token));
  });
  read.tokens.added = own_specials(kind, number);
  return read;
}

ByteLevelFile read_vocab_and_merges(const std::string& vocab, std::string_view merges,
                                    const std::string& kind) {
  ByteLevelFile read;
  read.model.split = split_for(kind, vocab_classes);
  const auto ids = parse_json_object(vocab, "vocab.json");
  read.tokens.texts.resize(ids.size());
  for (const auto& [text, value] : ids) {
    const auto id = value.is_int64() ? value.get_int64() : -1;
    if (id < 0 || static_cast<std::size_t>(id) >= ids.size() || text.empty() ||
        !read.tokens.texts[static_cast<std::size_t>(id)].empty())
      refuse("the ids must be 0 to " + std::to_string(ids.size() - 1) + ", each once; '" +
             std::string(text) + "' has another");
    read.tokens.texts[static_cast<std::size_t>(id)] = text;
  }
  read.model.merges.emplace();
  for_each_line(merges, [&](std::string_view line) {
    if (!line.empty() && !line.starts_with("#version")) read.model.merges->emplace_back(line);
  });
  return read;
}

}  // namespace pippin::vocabulary
