// Grammars that requests bring, for the demo model's tokenizer: the first line is the kind, the rest the grammar. What
// compiles is followed for some tokens: masks, single tokens and forced ones agree, and what ends as JSON is JSON.
#include "text/grammar.h"

#include <array>
#include <chrono>
#include <filesystem>
#include <memory>
#include <optional>
#include <random>
#include <sstream>
#include <string>
#include <vector>

#include "base/json.h"
#include "fuzzing.h"
#include "text/parsers/call_grammar.h"

namespace pippin::fuzz {
namespace {

using Kind = text::Grammar::Kind;

constexpr std::int32_t end_of_turn = 2;
constexpr int max_steps = 48;

const std::array<std::string, 6> kinds{"json_object", "json_schema", "regex",
                                       "choice",      "lark",        "calls"};
// All that calls can be forced in, also those that come later.
const std::vector<std::string>& formats() {
  static const auto names = [] {
    std::vector<std::string> all;
    std::istringstream list(text::call_grammar_formats());
    for (std::string name; list >> name; all.push_back(name))
      if (name.ends_with(',')) name.pop_back();
    return all;
  }();
  return names;
}

const std::shared_ptr<const text::Tokenizer>& tokenizer() {
  static const auto loaded =
      text::Tokenizer::load(std::filesystem::path(PIPPIN_SOURCE_DIR) / "assets/demo-model");
  return loaded;
}

text::GrammarCompiler& compiler() {
  static text::GrammarCompiler instance(tokenizer(), std::vector{end_of_turn},
                                        {.time_limit = std::chrono::milliseconds(2000)});
  return instance;
}

text::Grammar grammar_of(Input& input) {
  const auto kind = static_cast<Kind>(index_of(input.word(), kinds));
  if (kind != Kind::calls) return {kind, std::string(input.rest)};
  const std::string& format = formats()[index_of(input.word(), formats())];
  const text::CallRules rules{{}, hash_of(input.line) % 2 == 0, !input.word().empty(), ""};
  if (format == "harmony") return text::channel_call_grammar(input.rest, rules);
  return text::call_grammar(format, input.rest, rules, false);
}

// One answer, token by token.
class Walk {
 public:
  Walk(text::Matcher matcher, std::uint32_t seed)
      : matcher_(std::move(matcher)), random_(seed), mask_(text::mask_words(size_)) {}

  /// The answer, where it may end.
  std::optional<std::string> answer() {
    for (int step = 0; step < max_steps && !matcher_.finished(); ++step) {
      if (take_forced()) continue;
      const std::int32_t token = choose();
      if (token == end_of_turn) return text();
      take(token);
    }
    if (!matcher_.finished()) return {};
    return text();
  }

 private:
  bool has(std::int32_t token) const {
    return mask_[static_cast<std::size_t>(token) / 32] >> (token % 32) & 1u;
  }

  bool take_forced() {
    const auto forced = matcher_.forced();
    for (const std::int32_t token : forced) {
      require(!matcher_.finished() && matcher_.allows(token), "a forced token that may not come");
      if (token == end_of_turn) return false;
      take(token);
    }
    return !forced.empty();
  }

  std::int32_t choose() {
    matcher_.fill(mask_);
    std::vector<std::int32_t> allowed;
    for (std::int32_t token = 0; token < size_; ++token)
      if (has(token)) allowed.push_back(token);
    require(!allowed.empty(), "nothing may come, and nothing is over");
    const auto other = static_cast<std::int32_t>(random_() % static_cast<unsigned>(size_));
    require(matcher_.allows(other) == has(other), "the mask says otherwise");
    // Ends are preferred: so more answers have one.
    if (has(end_of_turn) && random_() % 3 == 0) return end_of_turn;
    return allowed[random_() % allowed.size()];
  }

  void take(std::int32_t token) {
    matcher_.accept(token);
    tokens_.push_back(token);
  }

  std::string text() const {
    std::string bytes;
    for (const std::int32_t token : tokens_) bytes += tokenizer()->token_bytes(token);
    return bytes;
  }

  const std::int32_t size_ = tokenizer()->vocab_size();
  text::Matcher matcher_;
  std::minstd_rand random_;
  std::vector<std::uint32_t> mask_;
  std::vector<std::int32_t> tokens_;
};

void run(Input input) {
  const std::uint32_t seed = hash_of(input.line);
  const text::Grammar grammar = grammar_of(input);
  const auto answer = Walk(compiler().compile(grammar), seed).answer();
  if (!answer) return;
  if (grammar.kind == Kind::json_object || grammar.kind == Kind::json_schema) {
    try {
      parse_json(*answer, "answer");
    } catch (const Error& error) {
      fail(error.what(), *answer);
    }
  }
}

}  // namespace
}  // namespace pippin::fuzz

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  pippin::fuzz::refused_only_with({pippin::Code::invalid_argument},
                                  [&] { pippin::fuzz::run({data, size}); });
  return 0;
}
