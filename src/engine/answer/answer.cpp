#include "engine/answer/answer.h"

#include <algorithm>

#include "base/log.h"
#include "engine/answer/cache_break.h"
#include "text/parsers/call_id.h"
#include "text/parsers/input.h"

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
  go_on_from(options.begun);
  go_on_from(options.tokens_before);
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
  add(std::exchange(begun_call_, {}));
  if (!event.finish) return accept_token(event);
  if (*event.finish == FinishReason::stop) ++usage_.completion_tokens;  // the end token
  accept_text(detokenizer_.finish());
  end(*event.finish);
}

void Answer::accept_token(const TokenEvent& event) {
  ++usage_.completion_tokens;
  if (list_tokens_) note_token(event);
  if (const auto* spelling = marker(event.token))
    accept_marker(*spelling);
  else
    accept_text(detokenizer_.push(event.token));
}

void Answer::note_token(const TokenEvent& event) {
  ledger_.push(spelled(event.token, event.logprobs), num_parsed_);
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
  accept_text(detokenizer_.finish());  // no character reaches across it
  if (ended_) return;
  num_parsed_ += spelling.size();
  add(parser_->feed_marker(spelling));
}

void Answer::accept_text(const std::string& text) {
  const auto repeated = std::min(text.size(), num_repeated_);
  num_repeated_ -= repeated;
  if (!ended_ && text.size() > repeated) add(parse(text.substr(repeated)));
}

text::OutputEvents Answer::parse(const std::string& text) {
  num_parsed_ += text.size();
  if (parser_) return parser_->feed(text);
  return {{Kind::text, text, 0, "", 0}};
}

const std::string* Answer::marker(std::int32_t token) const {
  const auto found = std::find_if(markers_.begin(), markers_.end(),
                                  [&](const auto& marker) { return marker.first == token; });
  return found == markers_.end() ? nullptr : &found->second;
}

void Answer::go_on_from(const std::string& begun) {
  if (begun.empty() || !parser_) return;
  std::vector<std::string_view> spellings;
  for (const auto& [id, spelling] : markers_) spellings.push_back(spelling);
  text::Input input;
  input.append(begun);
  input.close();
  while (!input.empty()) {
    const auto found = input.find(spellings);
    note_begun(parse(input.take(found.before)));
    if (!found.tag) continue;
    num_parsed_ += spellings[*found.tag].size();
    note_begun(parser_->feed_marker(input.take(spellings[*found.tag].size())));
  }
  num_begun_ = num_parsed_;
}

void Answer::note_begun(text::OutputEvents events) {
  for (auto& event : events) {
    if (event.kind != Kind::call_arguments) {
      if (!begun_call_.empty()) num_calls_before_ = begun_call_.front().call + 1;
      begun_call_.clear();
    }
    if (event.kind == Kind::call_begin || event.kind == Kind::call_arguments)
      begun_call_.push_back(std::move(event));
  }
}

void Answer::go_on_from(const std::vector<std::int32_t>& tokens) {
  std::string said;
  for (const auto token : tokens) said += detokenizer_.push(token);
  const auto all = tokenizer_->decode(tokens);
  // Part of a character is not said yet.
  if (!all.ends_with("\uFFFD")) num_repeated_ = all.size() - said.size();
}

void Answer::add(text::OutputEvents events) {
  for (auto& event : events) {
    if (ended_) return;
    add(std::move(event));
  }
}

void Answer::add(text::OutputEvent event) {
  const auto end = num_parsed_ - event.behind;
  // What it says in the prompt's words was said by these.
  if (event.kind == Kind::text || event.kind == Kind::reasoning)
    if (const auto begin = end - event.text.size(); begin < num_begun_)
      event.text.erase(0, num_begun_ - begin);
  if (event.kind == Kind::text) return add_text(event.text, end);
  settle_text();
  ledger_.release(end);
  if (event.kind == Kind::reasoning) return add_reasoning(std::move(event.text));
  add_call(std::move(event));
}

// Stop strings that come too early are text.
void Answer::add_text(std::string_view text, std::size_t end) {
  const auto all = stops_.num_held() + text.size();
  auto told = usage_.completion_tokens < min_tokens_ ? stops_.pass(text) : stops_.push(text);
  text_end_ = end - (all - told.size());
  tell_text(std::move(told));
  if (!stops_.matched()) return;
  tokens_->cancel();
  finish(FinishReason::stop);
}

void Answer::settle_text() {
  auto told = stops_.finish();
  text_end_ += told.size();
  tell_text(std::move(told));
}

void Answer::tell_text(std::string text) {
  ledger_.release(text_end_);
  if (text.empty()) return;
  ChatEvent event;
  event.text = std::move(text);
  tell(std::move(event));
}

void Answer::add_reasoning(std::string text) {
  if (text.empty()) return;
  usage_.reasoning_tokens += usage_.completion_tokens - told_tokens_;
  ChatEvent event;
  event.reasoning = std::move(text);
  tell(std::move(event));
}

void Answer::add_call(text::OutputEvent event) {
  const bool begins = event.kind == Kind::call_begin, ends = event.kind == Kind::call_end;
  const int index = event.call - num_calls_before_;
  if (!parallel_tool_calls_ && (ends || (begins && index > 0))) {
    tokens_->cancel();
    return finish(FinishReason::stop);
  }
  if (ends) return;
  ChatEvent out;
  if (begins) {
    ++num_calls_;
    const auto id = event.id.empty() ? text::make_call_id() : std::move(event.id);
    out.tool_call = {index, id, std::move(event.text), ""};
  } else {
    out.tool_call = {index, "", "", std::move(event.text)};
  }
  tell(std::move(out));
}

// Tokens count as what they settled; a marker counts to what follows it.
void Answer::tell(ChatEvent event) {
  told_tokens_ = usage_.completion_tokens;
  event.usage = usage_;
  event.tokens = ledger_.take();
  events_.push_back(std::move(event));
}

void Answer::end(FinishReason reason) {
  if (ended_) return;
  const bool cut = reason == FinishReason::length;
  if (parser_) add(parser_->finish(cut ? text::AnswerEnd::cut : text::AnswerEnd::whole));
  if (ended_) return;
  settle_text();
  ledger_.release_all();
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
