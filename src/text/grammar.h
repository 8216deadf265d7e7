// Grammars that answers must keep to: which tokens may come next, which must (llguidance, in rust/).
#pragma once

#include <chrono>
#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "pippin/client.h"
#include "pippin/memory.h"
#include "text/tokenizer.h"

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
  std::string salt = {};  ///< compiled ones are shared only between grammars of one salt

  bool operator==(const Grammar&) const = default;
};

/// Bits for so many tokens.
constexpr std::size_t mask_words(std::int64_t num_tokens) {
  return static_cast<std::size_t>((num_tokens + 31) / 32);
}

/// Follows one answer through a grammar. Owns its state; movable; one thread at a time. What it has found out of the grammar is left
/// to the compiler's next matchers when it is destroyed.
/// Every member throws Error(invalid_argument) where the grammar gets too complex to follow, Error(resource_exhausted) where the
/// matchers of a compiler take all memory that they may. The error's field is the one that blame() names.
class Matcher {
 public:
  Matcher(Matcher&& other) noexcept;
  Matcher& operator=(Matcher&& other) noexcept;
  ~Matcher();

  /// `field`: of the request that asks for the grammar.
  void blame(std::string field) { field_ = std::move(field); }

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
  /// The answer is whole and nothing may follow. Never after a member has thrown.
  bool finished() const;
  /// Parts of tools' schemas ("tools.0.function.parameters.properties.x.format") that the grammar does not keep to.
  std::vector<std::string> ignored() const;
  /// Bytes that it takes, and what its grammar leaves to the next ones.
  std::int64_t bytes() const;

 private:
  friend class GrammarCompiler;
  explicit Matcher(PippinMatcher* handle) : handle_(handle) {}

  PippinMatcher* handle_;
  std::string field_;
};

/// Compiles grammars for one tokenizer and keeps the latest. Thread-safe. Compiling has threads of its own, a bounded queue before
/// them in which clients take turns, and limits on time, fuel and memory; bytes are those that the Rust library has allocated for it.
class GrammarCompiler {
 public:
  struct Options {
    std::chrono::milliseconds time_limit{5000};  ///< of one, from when a thread begins with it
    std::size_t max_text_bytes = 512 << 10;      ///< of a grammar
    std::size_t max_kept = 64;                   ///< compiled grammars
    std::size_t max_kept_text_bytes = 4 << 20;   ///< of their texts
    std::size_t max_bytes = 256 << 20;           ///< of all grammars, running answers' included
    std::size_t max_grammar_bytes = 64 << 20;    ///< of one, and of what one answer learns of it
    std::size_t max_waiting = 256;  ///< to be compiled; an owner has a quarter of these places
    /// That compile. What takes long holds all but one of them, one owner's holds all but two; the others give short turns, so
    /// what is compiled in a tenth of a second waits for no such grammar.
    std::size_t threads = 3;
  };
  /// False: nobody waits for the grammar any longer.
  using Wanted = std::function<bool()>;
  /// Told a matcher at the answer's beginning, of which copies may be taken, or why there is none. Must only pass the word on.
  using Done = std::function<void(std::shared_ptr<const Matcher>, std::exception_ptr)>;

  /// `end_tokens` end an answer. Throws Error(invalid_argument) where the tokenizer's tokens can't be read as bytes.
  GrammarCompiler(const std::shared_ptr<const Tokenizer>& tokenizer,
                  std::span<const std::int32_t> end_tokens, Options options);
  GrammarCompiler(const std::shared_ptr<const Tokenizer>& tokenizer,
                  std::span<const std::int32_t> end_tokens)
      : GrammarCompiler(tokenizer, end_tokens, Options()) {}
  /// Tells those that wait Error(unavailable).
  ~GrammarCompiler();
  GrammarCompiler(const GrammarCompiler&) = delete;
  GrammarCompiler& operator=(const GrammarCompiler&) = delete;

  /// Calls `done` once, on this thread or on one that compiles. Failures: Error(invalid_argument) naming what of the grammar is wrong
  /// or can't be kept to, or that it takes too much time or memory; Error(resource_exhausted) where too many wait or all memory for
  /// grammars is taken; Error(unavailable) where the system has no memory; Error(cancelled) where it is not `wanted` (asked on any
  /// thread; empty: always). Who asks for the same grammar meanwhile is told with the first.
  void post(const Grammar& grammar, const Client& client, Wanted wanted, Done done);

  /// The same, but waits. Throws as above. `wanted` is asked on this thread, every few milliseconds.
  Matcher compile(const Grammar& grammar, const Wanted& wanted = {}, const Client& client = {});

  /// A copy for an answer, of a matcher that post() has told. Those that are kept give way to it. Throws Error(resource_exhausted) where
  /// running answers take all memory for grammars.
  Matcher begin(const Matcher& compiled);

  /// Drops those that are kept and returns their number. Running answers keep theirs.
  std::size_t clear();
  std::size_t num_kept() const;
  GrammarStats stats() const;

 private:
  class State;
  const std::shared_ptr<State> state_;  // outlives this while something is compiled
};

}  // namespace pippin::text
