// An answer as its reader sees it: tokens turned into text, stop strings applied, reasoning and calls told apart.
#pragma once

#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "engine/answer/token_ledger.h"
#include "engine/answer/token_stream.h"
#include "pippin/engine.h"
#include "pippin/request.h"
#include "text/detokenizer.h"
#include "text/parsers/parser.h"
#include "text/stop_strings.h"

namespace pippin::engine {

struct AnswerOptions {
  /// What is to be known of the prompt, in tokens.
  struct Prompt {
    std::int64_t tokens = 0;
    std::int64_t media = 0;              ///< of these, those that stand for pictures
    std::int64_t history = 0;            ///< see Sequence::num_history
    std::vector<std::int32_t> ids = {};  ///< where the first event is to tell them
  };

  std::vector<std::string> stop_strings;
  Prompt prompt;
  std::unique_ptr<text::OutputParser> parser;  ///< null: all is text
  bool parallel_tool_calls = true;             ///< see ChatRequest
  bool include_stop_strings = false;           ///< see StopOptions
  std::int64_t min_tokens = 0;                 ///< see StopOptions
  bool list_tokens = false;                    ///< see ChatEvent::tokens
  /// Where the answer goes on with a text that the prompt has begun: what of the answer, markup included, is there already, in the
  /// parser's eyes. It is not told again, but for a call that it leaves open.
  std::string begun;
  /// The prompt's last tokens, where the answer's text goes on with theirs.
  std::vector<std::int32_t> tokens_before;
};

/// Owned by the reader; one thread at a time. Cancels its request when destroyed before the end.
class Answer final : public ChatStream {
 public:
  Answer(std::shared_ptr<TokenStream> tokens, std::shared_ptr<const text::Tokenizer> tokenizer,
         AnswerOptions options);
  ~Answer() override;
  Answer(const Answer&) = delete;
  Answer& operator=(const Answer&) = delete;

  std::optional<ChatEvent> poll() override;
  std::optional<ChatEvent> next() override;
  void when_ready(std::function<void()> ready) override;
  bool finished() const override { return finished_; }
  AnswerTimes times() const override { return tokens_->times(); }

 private:
  using TakeFn = std::optional<TokenEvent> (TokenStream::*)();
  /// Takes tokens, waiting or not as `take` does, until they settle some event.
  std::optional<ChatEvent> advance(TakeFn take);
  void accept(const TokenEvent& event);
  void accept_token(const TokenEvent& event);
  void accept_marker(const std::string& spelling);
  void accept_text(const std::string& text);
  void note_token(const TokenEvent& event);
  /// The token's log-probabilities, where there are any, with the bytes of all that are named.
  AnswerToken spelled(std::int32_t token, const TokenLogprobs& logprobs) const;
  void note_prompt();
  /// A special token that the parser wants to see; nullptr for others.
  const std::string* marker(std::int32_t token) const;

  text::OutputEvents parse(const std::string& text);
  /// The parser reads what the prompt has begun of the answer.
  void go_on_from(const std::string& begun);
  void note_begun(text::OutputEvents events);
  /// The detokenizer reads what the answer's text goes on with.
  void go_on_from(const std::vector<std::int32_t>& tokens);

  void add(text::OutputEvents events);
  void add(text::OutputEvent event);
  void add_text(std::string_view text, std::size_t end);
  void add_reasoning(std::string text);
  void add_call(text::OutputEvent event);
  /// Nothing of the text is held back any longer.
  void settle_text();
  void tell_text(std::string text);
  void tell(ChatEvent event);
  /// The answer is over: what the parser holds back is settled.
  void end(FinishReason reason);
  void finish(FinishReason reason);

  std::shared_ptr<TokenStream> tokens_;
  std::shared_ptr<const text::Tokenizer> tokenizer_;
  text::Detokenizer detokenizer_;
  text::StopStrings stops_;
  std::unique_ptr<text::OutputParser> parser_;
  std::vector<std::pair<std::int32_t, std::string>> markers_;
  const bool parallel_tool_calls_;
  const bool list_tokens_;
  const std::int64_t min_tokens_;
  AnswerOptions::Prompt prompt_;
  TokenLedger ledger_;  ///< empty unless list_tokens_
  // In bytes of what was detokenized, markers included:
  std::size_t num_parsed_ = 0;     ///< so far
  std::size_t num_begun_ = 0;      ///< of these, the prompt's
  std::size_t text_end_ = 0;       ///< where the text ends that the stop strings have let through
  std::size_t num_repeated_ = 0;   ///< that the detokenizer still says of the prompt's last tokens
  text::OutputEvents begun_call_;  ///< that the prompt leaves open: told with the first token
  int num_calls_before_ = 0;       ///< calls that the prompt has begun and ended
  std::vector<AnswerToken> prompt_logprobs_;  ///< of the first event
  std::deque<ChatEvent> events_;              ///< settled, not taken yet
  AnswerTimes::Time at_;                      ///< of the token that settled them
  Usage usage_;
  std::int64_t told_tokens_ = 0;  ///< of the completion's, those of events so far
  int num_calls_ = 0;
  bool ended_ = false;     ///< the last event is settled
  bool finished_ = false;  ///< it has been taken
};

}  // namespace pippin::engine
