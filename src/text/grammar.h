// Grammars that answers must keep to: which tokens may come next, which must (llguidance, in rust/).
#pragma once

#include <chrono>
#include <cstdint>
#include <list>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <vector>

#include "text/tokenizer.h"

struct PippinGrammars;
struct PippinMatcher;

namespace pippin::text {

/// What an answer must be.
struct Grammar {
  enum class Kind {
    json_object,  ///< any JSON object; no text
    json_schema,  ///< JSON that the schema allows
    regex,        ///< what the regular expression matches as a whole
    choice,       ///< one of a JSON array of strings
    lark,   ///< what the rule `start` derives, in llguidance's dialect of Lark; or `root`, in GBNF
    calls,  ///< tool calls, as call_grammar() describes them
  };
  Kind kind = Kind::json_object;
  std::string text = {};

  bool operator==(const Grammar&) const = default;
};

/// Bits for so many tokens.
constexpr std::size_t mask_words(std::int64_t num_tokens) {
  return static_cast<std::size_t>((num_tokens + 31) / 32);
}

/// Follows one answer through a grammar. Owns its state; movable; one thread at a time. What it has found out of the grammar is left
/// to the compiler's next matchers when it is destroyed.
/// Every member throws Error(invalid_argument) where the grammar gets too complex to follow.
class Matcher {
 public:
  Matcher(Matcher&& other) noexcept;
  Matcher& operator=(Matcher&& other) noexcept;
  ~Matcher();

  /// An independent one in the same state. Many threads may copy one that nobody changes.
  Matcher copy() const;

  /// Bit t % 32 of words[t / 32]: whether token t may come next. The compiler's end tokens may where the answer may end.
  /// Words behind the tokenizer's vocabulary become 0.
  void fill(std::span<std::uint32_t> words);
  bool allows(std::int32_t token);
  /// The token comes. Throws where it may not; the matcher is of no use then.
  void accept(std::int32_t token);
  /// The tokens that must come next, in order; they still have to be accepted.
  std::vector<std::int32_t> forced();
  /// Nothing may follow.
  bool finished() const;

 private:
  friend class GrammarCompiler;
  explicit Matcher(PippinMatcher* handle) : handle_(handle) {}

  PippinMatcher* handle_;
};

/// Compiles grammars for one tokenizer and keeps the latest. Thread-safe.
class GrammarCompiler {
 public:
  struct Options {
    std::chrono::milliseconds time_limit{5000};
    std::size_t max_text_bytes = 512 << 10;  ///< of a grammar
    std::size_t max_kept = 64;               ///< compiled grammars
    std::size_t max_kept_bytes = 4 << 20;    ///< of their texts
  };

  /// `end_tokens` end an answer. Throws Error(invalid_argument) where the tokenizer's tokens can't be read as bytes.
  GrammarCompiler(std::shared_ptr<const Tokenizer> tokenizer,
                  std::span<const std::int32_t> end_tokens, Options options);
  GrammarCompiler(std::shared_ptr<const Tokenizer> tokenizer,
                  std::span<const std::int32_t> end_tokens)
      : GrammarCompiler(std::move(tokenizer), end_tokens, Options()) {}
  ~GrammarCompiler();
  GrammarCompiler(const GrammarCompiler&) = delete;
  GrammarCompiler& operator=(const GrammarCompiler&) = delete;

  /// A matcher at the answer's beginning. Throws Error(invalid_argument) naming what of the grammar is wrong or can't be
  /// kept to, or that it takes too long.
  Matcher compile(const Grammar& grammar);

  std::size_t num_kept() const;

 private:
  struct Kept {
    Grammar grammar;
    std::shared_ptr<const Matcher> matcher;  ///< at the beginning
  };
  std::shared_ptr<const Matcher> find(const Grammar& grammar);
  std::shared_ptr<const Matcher> keep(const Grammar& grammar, Matcher matcher);
  Matcher compile_anew(const Grammar& grammar) const;

  const Options options_;
  PippinGrammars* handle_ = nullptr;
  mutable std::mutex mutex_;
  std::list<Kept> kept_;        // guarded by mutex_; the latest used first
  std::size_t kept_bytes_ = 0;  // guarded by mutex_
};

}  // namespace pippin::text
