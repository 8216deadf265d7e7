// An answer as its reader sees it: tokens turned into text, stop strings applied.
#pragma once

#include <memory>
#include <optional>

#include "engine/token_stream.h"
#include "pippin/request.h"
#include "text/detokenizer.h"
#include "text/stop_strings.h"

namespace pippin::engine {

/// Owned by the reader; one thread at a time. Cancels its request when destroyed before the end.
class Answer {
 public:
  /// What is to be known of the prompt, in tokens.
  struct Prompt {
    std::int64_t tokens = 0;
    std::int64_t media = 0;    ///< of these, those that stand for pictures
    std::int64_t history = 0;  ///< see Sequence::num_history
  };

  Answer(std::shared_ptr<TokenStream> tokens, std::shared_ptr<const text::Tokenizer> tokenizer,
         std::vector<std::string> stop_strings, const Prompt& prompt);
  ~Answer();
  Answer(const Answer&) = delete;
  Answer& operator=(const Answer&) = delete;

  /// The next event with text or the end, without waiting; see ChatStream::poll.
  std::optional<ChatEvent> poll();
  /// As poll, but waits; see ChatStream::next.
  std::optional<ChatEvent> next();
  bool finished() const { return finished_; }
  void when_ready(std::function<void()> ready);

 private:
  using TakeFn = std::optional<TokenEvent> (TokenStream::*)();
  /// Takes tokens, waiting or not as `take` does, until they settle some text or the end.
  std::optional<ChatEvent> advance(TakeFn take);
  /// Turns one token event into text; nullopt where it settles none.
  std::optional<ChatEvent> accept(const TokenEvent& event);
  ChatEvent end(std::string text, FinishReason reason);
  void note_caches();

  std::shared_ptr<TokenStream> tokens_;
  std::shared_ptr<const text::Tokenizer> tokenizer_;
  text::Detokenizer detokenizer_;
  text::StopStrings stops_;
  const Prompt prompt_;
  Usage usage_;
  bool finished_ = false;
};

}  // namespace pippin::engine
