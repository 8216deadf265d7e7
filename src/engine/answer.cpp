#include "engine/answer.h"

#include <utility>

#include "base/log.h"
#include "engine/cache_break.h"

namespace pippin::engine {

Answer::Answer(std::shared_ptr<TokenStream> tokens,
               std::shared_ptr<const text::Tokenizer> tokenizer,
               std::vector<std::string> stop_strings, const Prompt& prompt)
    : tokens_(std::move(tokens)),
      tokenizer_(std::move(tokenizer)),
      detokenizer_(tokenizer_),
      stops_(std::move(stop_strings)),
      prompt_(prompt) {
  usage_.prompt_tokens = prompt.tokens;
}

Answer::~Answer() {
  if (!finished_) tokens_->cancel();
}

std::optional<ChatEvent> Answer::poll() { return advance(&TokenStream::poll); }

std::optional<ChatEvent> Answer::next() { return advance(&TokenStream::next); }

std::optional<ChatEvent> Answer::advance(TakeFn take) {
  while (!finished_) {
    const auto event = (*tokens_.*take)();
    if (!event) return {};
    if (auto answer = accept(*event)) return answer;
  }
  return {};
}

void Answer::when_ready(std::function<void()> ready) {
  if (finished_)
    ready();
  else
    tokens_->when_ready(std::move(ready));
}

std::optional<ChatEvent> Answer::accept(const TokenEvent& event) {
  note_caches();
  std::string text;
  if (event.finish) {
    if (*event.finish == FinishReason::stop) ++usage_.completion_tokens;  // the end token
    text = stops_.push(detokenizer_.finish());
    text += stops_.finish();
    return end(std::move(text), stops_.matched() ? FinishReason::stop : *event.finish);
  }
  ++usage_.completion_tokens;
  text = stops_.push(detokenizer_.push(event.token));
  if (stops_.matched()) {
    tokens_->cancel();
    return end(std::move(text), FinishReason::stop);
  }
  if (text.empty()) return {};
  return ChatEvent{std::move(text), std::nullopt, usage_};
}

void Answer::note_caches() {
  usage_.cached_tokens = tokens_->cached_tokens();
  usage_.media_cached = prompt_.media - tokens_->encoded_tokens();
  if (const auto divergence = tokens_->take_divergence())
    if (const auto line = describe_break(*divergence, prompt_.history, *tokenizer_))
      spdlog::info("[cache] {}", *line);
}

ChatEvent Answer::end(std::string text, FinishReason reason) {
  finished_ = true;
  return {std::move(text), reason, usage_};
}

}  // namespace pippin::engine
