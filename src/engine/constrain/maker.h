// From what a request asks of its answer to the constraint of its sequence.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/mutex.h"
#include "engine/constrain/answer_constraint.h"
#include "engine/constrain/channel_constraint.h"
#include "engine/constrain/grammars.h"
#include "pippin/request.h"
#include "text/grammar.h"
#include "text/parsers/call_grammar.h"
#include "text/parsers/registry.h"
#include "text/tokenizer.h"

namespace pippin::engine {

/// For one model. Thread-safe. make() waits where its grammar was not prepared: not on the engine's thread.
class ConstraintMaker {
 public:
  using Wanted = text::GrammarCompiler::Wanted;

  /// grammar_bytes: that all grammars may take.
  ConstraintMaker(std::shared_ptr<const text::Tokenizer> tokenizer, text::OutputFormat format,
                  std::vector<std::int32_t> end_tokens,
                  std::int64_t grammar_bytes = std::int64_t{256} << 20);

  /// The constraint of an answer to `prompt`, the rendered chat, that begins with `begun` (text::OpenPrompt). Null where nothing is asked for.
  /// Throws Error(invalid_argument) naming the field that can't be kept to, or by an answer that begins so. `wanted`: see
  /// GrammarCompiler::compile.
  std::unique_ptr<Constraint> make(const ChatRequest& request, std::string_view prompt,
                                   std::string_view begun = {}, const Wanted& wanted = {});

  /// The constraint of a text that is completed: there is no reasoning.
  std::unique_ptr<Constraint> make(const CompletionRequest& request, const Wanted& wanted = {});

  /// Compiles what make() will ask for: see Engine::prepare. What is refused before it is compiled make() refuses.
  using Ready = std::function<void(std::shared_ptr<const Grammars>)>;
  void prepare(const ChatRequest& request, Ready ready);
  void prepare(const CompletionRequest& request, Ready ready);

  /// Drops the grammars that are kept and returns their number.
  std::size_t clear();
  GrammarStats stats() const;

 private:
  /// For whom a grammar is compiled. Refers to a request.
  struct Asking {
    const Client& client;
    const std::string& salt;
    const Grammars* grammars;
    const Wanted& wanted;
  };
  template <class Request>
  static Asking asking(const Request& request, const Wanted& wanted) {
    return {request.client, request.cache_salt, request.grammars.get(), wanted};
  }

  std::vector<text::Grammar> grammars_of(const ChatRequest& request) const;
  template <class Request>
  void prepare(const Request& request, std::vector<text::Grammar> grammars, Ready ready);
  std::optional<text::Grammar> grammar_of(const ChatRequest& request) const;
  text::Grammar grammar_of_calls(const ChatRequest& request, text::Thoughts thoughts) const;
  text::Grammar grammar_of_answer(const ResponseFormat& format, text::Thoughts thoughts) const;
  /// The grammar of what may follow thoughts that were closed by force, in a format of messages.
  std::optional<text::Grammar> grammar_behind_thoughts(const ChatRequest& request) const;
  text::Matcher compile(text::Grammar grammar, const std::string& field, const Asking& asking);
  text::GrammarCompiler& compiler();

  std::unique_ptr<Constraint> make_in_text(const ChatRequest& request, std::string_view prompt,
                                           std::string_view begun, const Wanted& wanted);
  std::unique_ptr<Constraint> make_in_channels(const ChatRequest& request, std::string_view prompt,
                                               const Wanted& wanted);
  std::optional<ChannelConstraint::Budget> budget_in_channels(const ChatRequest& request,
                                                              std::string_view prompt,
                                                              const Wanted& wanted);
  AnswerConstraint::Start start_of(std::string_view prompt) const;
  bool marks_are_tokens() const;

  const std::shared_ptr<const text::Tokenizer> tokenizer_;
  const text::OutputFormat format_;
  const std::vector<std::int32_t> end_tokens_;
  ReasoningMarks marks_;
  std::optional<ChannelMarks> channel_marks_;
  const std::int64_t grammar_bytes_;
  mutable Mutex mutex_;
  std::unique_ptr<text::GrammarCompiler> compiler_
      GUARDED_BY(mutex_);  ///< made when the first grammar comes
};

}  // namespace pippin::engine
