// From what a request asks of its answer to the constraint of its sequence.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/constrain/answer_constraint.h"
#include "engine/constrain/channel_constraint.h"
#include "pippin/request.h"
#include "text/grammar.h"
#include "text/parsers/call_grammar.h"
#include "text/parsers/registry.h"
#include "text/tokenizer.h"

namespace pippin::engine {

/// For one model. Thread-safe. Compiles on the calling thread, which waits: not the engine's.
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

  /// The constraint of a text that is completed: there is no reasoning. salt: the request's cache_salt.
  std::unique_ptr<Constraint> make(const ResponseFormat& format, const Wanted& wanted = {},
                                   const std::string& salt = {});

  /// Drops the grammars that are kept and returns their number.
  std::size_t clear();
  GrammarStats stats() const;

 private:
  std::optional<text::Grammar> grammar_of(const ChatRequest& request) const;
  text::Grammar grammar_of_calls(const ChatRequest& request, text::Thoughts thoughts) const;
  text::Grammar grammar_of_answer(const ResponseFormat& format, text::Thoughts thoughts) const;
  /// The grammar of what may follow thoughts that were closed by force, in a format of messages.
  std::optional<text::Grammar> grammar_behind_thoughts(const ChatRequest& request) const;
  text::Matcher compile(text::Grammar grammar, const std::string& salt, const std::string& field,
                        const Wanted& wanted);
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
  mutable std::mutex mutex_;
  std::unique_ptr<text::GrammarCompiler>
      compiler_;  ///< made when the first grammar comes; guarded by mutex_ until then
};

}  // namespace pippin::engine
