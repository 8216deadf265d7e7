#include "server/openai/completion_reply.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "base/json.h"
#include "server/chat/token_reply.h"
#include "server/http/errors.h"
#include "server/http/sse.h"
#include "server/schema/finish_reason.h"
#include "server/schema/utf8.h"

namespace pippin::server {
namespace {

json::object usage_object(const Usage& usage) {
  return {{"prompt_tokens", usage.prompt_tokens},
          {"completion_tokens", usage.completion_tokens},
          {"total_tokens", usage.prompt_tokens + usage.completion_tokens},
          {"prompt_tokens_details", {{"cached_tokens", usage.cached_tokens}}}};
}

json::object header(const CompletionReply::Options& options) {
  return {{"id", options.id},
          {"object", "text_completion"},
          {"created", options.created},
          {"model", valid_utf8(options.model)}};
}

// A piece of a choice, or all of it.
struct Piece {
  std::string text;
  const std::vector<AnswerToken>& tokens;
  const std::vector<std::int32_t>& prompt_tokens;
  const std::vector<AnswerToken>& prompt_logprobs;
  std::optional<FinishReason> finish;
  /// Characters of the echo that it begins with, where its tokens are told.
  std::size_t echo_length = 0;
};

json::object choice_object(std::size_t index, const Piece& piece, const TokenWishes& wishes,
                           std::size_t& offset) {
  json::object choice{{"index", index},
                      {"text", valid_utf8(piece.text)},
                      {"logprobs", nullptr},
                      {"finish_reason", nullptr}};
  if (wishes.logprobs) {
    CompletionLogprobs told(wishes.named_by_id ? TokenName::id : TokenName::text);
    if (piece.echo_length > 0) told.add_prompt(piece.prompt_logprobs, piece.echo_length);
    told.add(piece.tokens, offset);
    choice["logprobs"] = told.take();
  }
  if (wishes.prompt_logprobs) choice["prompt_logprobs"] = prompt_logprobs(piece.prompt_logprobs);
  if (piece.finish) choice["finish_reason"] = name_of(*piece.finish);
  if (!wishes.ids) return choice;
  choice["token_ids"] = token_ids(piece.tokens);
  if (!piece.prompt_tokens.empty()) choice["prompt_token_ids"] = token_ids(piece.prompt_tokens);
  return choice;
}

std::size_t num_characters(const std::string& text) {
  return static_cast<std::size_t>(
      std::count_if(text.begin(), text.end(), [](char byte) { return (byte & 0xC0) != 0x80; }));
}

// What is told where the prompt is all that is wanted.
ChatEvent without_answer(const ChatEvent& event) {
  ChatEvent told;
  told.usage = event.usage;
  told.usage.completion_tokens = 0;
  told.prompt_tokens = event.prompt_tokens;
  told.prompt_logprobs = event.prompt_logprobs;
  if (event.finish) told.finish = FinishReason::length;
  return told;
}

std::string chunk(const CompletionReply::Options& options, json::object choice) {
  json::object out = header(options);
  out["choices"] = json::array{std::move(choice)};
  if (options.include_usage) out["usage"] = nullptr;
  return sse_event(json::serialize(out));
}

}  // namespace

CompletionReply::CompletionReply(Options options)
    : options_(std::move(options)), answers_(options_.num_prompts * options_.num_choices) {
  for (std::size_t i = 0; i < answers_.size(); ++i) offsets_.push_back(num_characters(echo_of(i)));
}

std::string CompletionReply::echo_of(std::size_t choice) const {
  return options_.echoes.empty() ? "" : options_.echoes[choice / options_.num_choices];
}

std::string CompletionReply::open() {
  std::string out;
  if (options_.echoes.empty() || tells_echo()) return out;
  for (std::size_t i = 0; i < answers_.size(); ++i)
    out += chunk(options_,
                 choice_object(i, {echo_of(i), {}, {}, {}, {}}, options_.tokens, offsets_[i]));
  return out;
}

std::string CompletionReply::add(std::size_t choice, const ChatEvent& event) {
  std::string out;
  if (tells_echo() && !event.prompt_logprobs.empty()) {
    const std::string echo = echo_of(choice);
    const Piece piece{echo, {}, {}, event.prompt_logprobs, {}, num_characters(echo)};
    out += chunk(options_, choice_object(choice, piece, options_.tokens, offsets_[choice]));
  }
  const ChatEvent told = options_.prompt_only ? without_answer(event) : event;
  answers_[choice].usage = told.usage;
  const Piece piece{told.text, told.tokens, told.prompt_tokens, {}, told.finish};
  return out + chunk(options_, choice_object(choice, piece, options_.tokens, offsets_[choice]));
}

std::string CompletionReply::close() {
  std::string out;
  if (options_.include_usage) {
    json::object last = header(options_);
    last["choices"] = json::array();
    last["usage"] = usage_object(usage());
    out += sse_event(json::serialize(last));
  }
  out += sse_done;
  return out;
}

std::string CompletionReply::fail(const Error& error) { return sse_event(error_body(error)); }

void CompletionReply::fold(std::size_t choice, const ChatEvent& event) {
  answers_[choice].add(options_.prompt_only ? without_answer(event) : event);
}

std::string CompletionReply::whole() {
  json::object out = header(options_);
  json::array choices;
  for (std::size_t i = 0; i < answers_.size(); ++i) {
    const ChatAnswer& answer = answers_[i];
    const std::string echo = echo_of(i);
    const Piece piece{echo + answer.text,     answer.tokens, answer.prompt_tokens,
                      answer.prompt_logprobs, answer.finish, num_characters(echo)};
    choices.push_back(choice_object(i, piece, options_.tokens, offsets_[i]));
  }
  out["choices"] = std::move(choices);
  out["usage"] = usage_object(usage());
  return json::serialize(out);
}

// A prompt counts once, however many choices it has.
Usage CompletionReply::usage() const {
  Usage usage;
  for (std::size_t i = 0; i < answers_.size(); ++i) {
    usage.completion_tokens += answers_[i].usage.completion_tokens;
    if (i % options_.num_choices != 0) continue;
    usage.prompt_tokens += answers_[i].usage.prompt_tokens;
    usage.cached_tokens += answers_[i].usage.cached_tokens;
  }
  return usage;
}

}  // namespace pippin::server
