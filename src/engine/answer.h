// An answer as its reader sees it: tokens turned into text, stop strings applied, reasoning and calls told apart.
#pragma once

#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "engine/token_ledger.h"
#include "engine/token_stream.h"
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
};

/// Owned by the reader; one thread at a time. Cancels its request when destroyed before the end.
class Answer {
 public:
  Answer(std::shared_ptr<TokenStream> tokens, std::shared_ptr<const text::Tokenizer> tokenizer,
         AnswerOptions options);
  ~Answer();
  Answer(const Answer&) = delete;
  Answer& operator=(const Answer&) = delete;

  /// The next event, without waiting; see ChatStream::poll.
  std::optional<ChatEvent> poll();
  /// As poll, but waits; see ChatStream::next.
  std::optional<ChatEvent> next();
  void when_ready(std::function<void()> ready);
  bool finished() const { return finished_; }
  AnswerTimes times() const { return tokens_->times(); }

 private:
  using TakeFn = std::optional<TokenEvent> (TokenStream::*)();
  /// Takes tokens, waiting or not as `take` does, until they settle some event.
  std::optional<ChatEvent> advance(TakeFn take);
  void accept(const TokenEvent& event);
  void accept_token(const TokenEvent& event);
  void accept_marker(const std::string& spelling);
  void accept_text(const std::string& text);
  /// Nothing of the text is held back any longer, but what a stop string cut off.
  void settle_text();
  void note_token(const TokenEvent& event);
  /// The token's log-probabilities, where there are any, with the bytes of all that are named.
  AnswerToken spelled(std::int32_t token, const TokenLogprobs& logprobs) const;
  void note_prompt();
  /// A special token that the parser wants to see; nullptr for others.
  const std::string* marker(std::int32_t token) const;

  void say(std::string text);
  void add(text::OutputEvents events);
  void add(text::OutputEvent event);
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
  std::size_t detokenized_ = 0,
              told_ = 0;  ///< bytes of text: so far, and of these let through by the stop strings
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
