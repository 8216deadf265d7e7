#include "engine/answer.h"

#include <algorithm>

#include "base/log.h"
#include "engine/cache_break.h"
#include "text/parsers/call_id.h"

namespace pippin::engine {
namespace {

using Kind = text::OutputEvent::Kind;

std::vector<std::pair<std::int32_t, std::string>> find_markers(const text::OutputParser* parser,
                                                               const text::Tokenizer& tokenizer) {
  std::vector<std::pair<std::int32_t, std::string>> markers;
  if (!parser) return markers;
  for (const auto spelling : parser->markers())
    if (const auto id = tokenizer.token_to_id(spelling); id && tokenizer.is_special(*id))
      markers.emplace_back(*id, spelling);
  return markers;
}

}  // namespace

Answer::Answer(std::shared_ptr<TokenStream> tokens,
               std::shared_ptr<const text::Tokenizer> tokenizer, AnswerOptions options)
    : tokens_(std::move(tokens)),
      tokenizer_(std::move(tokenizer)),
      detokenizer_(tokenizer_),
      stops_(std::move(options.stop_strings), options.include_stop_strings),
      parser_(std::move(options.parser)),
      markers_(find_markers(parser_.get(), *tokenizer_)),
      parallel_tool_calls_(options.parallel_tool_calls),
      list_tokens_(options.list_tokens),
      min_tokens_(options.min_tokens),
      prompt_(options.prompt) {
  usage_.prompt_tokens = prompt_.tokens;
}

Answer::~Answer() {
  if (!ended_) tokens_->cancel();
}

std::optional<ChatEvent> Answer::poll() { return advance(&TokenStream::poll); }

std::optional<ChatEvent> Answer::next() { return advance(&TokenStream::next); }

std::optional<ChatEvent> Answer::advance(TakeFn take) {
  while (events_.empty() && !ended_) {
    const auto event = (*tokens_.*take)();
    if (!event) return {};
    at_ = event->at;
    accept(*event);
  }
  if (events_.empty()) return {};
  ChatEvent event = std::move(events_.front());
  events_.pop_front();
  finished_ = event.finish.has_value();
  event.at = at_;
  event.prompt_tokens = std::exchange(prompt_.ids, {});
  event.prompt_logprobs = std::exchange(prompt_logprobs_, {});
  return event;
}

void Answer::when_ready(std::function<void()> ready) {
  if (!events_.empty() || ended_)
    ready();
  else
    tokens_->when_ready(std::move(ready));
}

void Answer::note_prompt() {
  usage_.cached_tokens = tokens_->cached_tokens();
  usage_.media_cached = prompt_.media - tokens_->encoded_tokens();
  for (const auto& token : tokens_->take_prompt_logprobs())
    prompt_logprobs_.push_back(spelled(token->token, token));
  if (const auto divergence = tokens_->take_divergence())
    if (const auto line = describe_break(*divergence, prompt_.history, *tokenizer_))
      spdlog::info("[cache] {}", *line);
}

void Answer::accept(const TokenEvent& event) {
  note_prompt();
  if (!event.finish) return accept_token(event);
  if (*event.finish == FinishReason::stop) ++usage_.completion_tokens;  // the end token
  settle_text();
  if (!stops_.matched()) ledger_.release_all();
  end(stops_.matched() ? FinishReason::stop : *event.finish);
}

void Answer::accept_token(const TokenEvent& event) {
  ++usage_.completion_tokens;
  if (list_tokens_) note_token(event);
  if (const auto* spelling = marker(event.token))
    accept_marker(*spelling);
  else
    accept_text(detokenizer_.push(event.token));
  if (stops_.matched() && !ended_) {
    tokens_->cancel();
    end(FinishReason::stop);
  }
}

void Answer::note_token(const TokenEvent& event) {
  ledger_.push(spelled(event.token, event.logprobs), detokenized_);
}

AnswerToken Answer::spelled(std::int32_t id, const TokenLogprobs& logprobs) const {
  AnswerToken token;
  if (logprobs) token = *logprobs;
  token.token = id;
  token.bytes = tokenizer_->token_bytes(id);
  for (auto& other : token.top) other.bytes = tokenizer_->token_bytes(other.token);
  return token;
}

void Answer::accept_marker(const std::string& spelling) {
  // What stands before a marker and behind it is not one text.
  settle_text();
  if (ended_ || stops_.matched()) return;
  ledger_.release_all();
  add(parser_->feed_marker(spelling));
}

void Answer::accept_text(const std::string& text) {
  detokenized_ += text.size();
  // Stop strings that come too early are text.
  auto told = usage_.completion_tokens < min_tokens_ ? stops_.pass(text) : stops_.push(text);
  told_ += told.size();
  ledger_.release(told_);
  say(std::move(told));
}

void Answer::settle_text() {
  accept_text(detokenizer_.finish());
  auto told = stops_.finish();
  told_ += told.size();
  ledger_.release(told_);
  say(std::move(told));
}

const std::string* Answer::marker(std::int32_t token) const {
  const auto found = std::find_if(markers_.begin(), markers_.end(),
                                  [&](const auto& marker) { return marker.first == token; });
  return found == markers_.end() ? nullptr : &found->second;
}

void Answer::say(std::string text) {
  if (ended_ || text.empty()) return;
  if (parser_)
    add(parser_->feed(text));
  else
    add({Kind::text, std::move(text), 0, ""});
}

void Answer::add(text::OutputEvents events) {
  for (auto& event : events) {
    if (ended_) return;
    add(std::move(event));
  }
}

void Answer::add(text::OutputEvent event) {
  const bool is_next_call = event.kind == Kind::call_begin && event.call > 0;
  const bool is_call_end = event.kind == Kind::call_end;
  if (!parallel_tool_calls_ && (is_next_call || is_call_end)) {
    tokens_->cancel();
    return finish(FinishReason::stop);
  }
  if (is_call_end) return;
  // Tokens count as what they settled; a marker counts to what follows it.
  const auto new_tokens =
      usage_.completion_tokens - std::exchange(told_tokens_, usage_.completion_tokens);
  if (event.kind == Kind::reasoning) usage_.reasoning_tokens += new_tokens;
  ChatEvent out{"", std::nullopt, usage_};
  if (event.kind == Kind::text)
    out.text = std::move(event.text);
  else if (event.kind == Kind::reasoning)
    out.reasoning = std::move(event.text);
  else if (event.kind == Kind::call_begin)
    out.tool_call = {event.call, event.id.empty() ? text::make_call_id() : std::move(event.id),
                     std::move(event.text), ""};
  else
    out.tool_call = {event.call, "", "", std::move(event.text)};
  if (event.kind == Kind::call_begin) ++num_calls_;
  out.tokens = ledger_.take();
  events_.push_back(std::move(out));
}

void Answer::end(FinishReason reason) {
  if (parser_ && !ended_) add(parser_->finish());
  finish(reason);
}

void Answer::finish(FinishReason reason) {
  if (std::exchange(ended_, true)) return;
  if (reason == FinishReason::stop && num_calls_ > 0) reason = FinishReason::tool_calls;
  if (events_.empty()) events_.emplace_back();
  ChatEvent& last = events_.back();
  last.finish = reason;
  last.stop_string = stops_.matched();
  last.usage = usage_;
  for (auto& token : ledger_.take()) last.tokens.push_back(std::move(token));
}

}  // namespace pippin::engine
