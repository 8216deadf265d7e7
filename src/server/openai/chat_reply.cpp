#include "server/openai/chat_reply.h"

#include <string_view>
#include <utility>

#include "base/json.h"
#include "server/chat/token_reply.h"
#include "server/http/errors.h"
#include "server/http/sse.h"
#include "server/schema/finish_reason.h"
#include "server/schema/utf8.h"

namespace pippin::server {
namespace {

json::object usage_object(const Usage& usage, int audio_tracks) {
  json::object details{{"cached_tokens", usage.cached_tokens},
                       {"media_cached", usage.media_cached}};
  if (audio_tracks > 0) details["ignored_audio_tracks"] = audio_tracks;
  return {{"prompt_tokens", usage.prompt_tokens},
          {"completion_tokens", usage.completion_tokens},
          {"total_tokens", usage.prompt_tokens + usage.completion_tokens},
          {"prompt_tokens_details", std::move(details)},
          {"completion_tokens_details", {{"reasoning_tokens", usage.reasoning_tokens}}}};
}

json::object header(std::string_view object, const ChatReply::Options& options) {
  return {{"id", options.id},
          {"object", object},
          {"created", options.created},
          {"model", valid_utf8(options.model)}};
}

// One of the choices; `content` is its "delta" or "message", made of `tokens`.
json::object choice_object(std::size_t index, std::string_view name, json::object content,
                           const std::vector<AnswerToken>& tokens, const TokenWishes& wishes,
                           json::value finish_reason) {
  json::object choice;
  choice["index"] = index;
  choice[name] = std::move(content);
  choice["logprobs"] = nullptr;
  if (wishes.logprobs && (name == "message" || !tokens.empty()))
    choice["logprobs"] =
        chat_logprobs(tokens, wishes.named_by_id ? TokenName::id : TokenName::text);
  choice["finish_reason"] = std::move(finish_reason);
  if (wishes.ids) choice["token_ids"] = token_ids(tokens);
  return choice;
}

std::string chunk(const ChatReply::Options& options, std::size_t choice, json::object delta,
                  const std::vector<AnswerToken>& tokens, json::value finish_reason,
                  const std::vector<std::int32_t>& prompt_tokens = {}) {
  json::object out = header("chat.completion.chunk", options);
  out["choices"] = json::array{choice_object(choice, "delta", std::move(delta), tokens,
                                             options.tokens, std::move(finish_reason))};
  if (!prompt_tokens.empty()) out["prompt_token_ids"] = token_ids(prompt_tokens);
  if (options.include_usage) out["usage"] = nullptr;
  return sse_event(json::serialize(out));
}

// Clients read either name.
void add_reasoning(json::object& object, std::string_view reasoning) {
  object["reasoning"] = valid_utf8(reasoning);
  object["reasoning_content"] = valid_utf8(reasoning);
}

json::object first_piece(const ToolCallDelta& call) {
  json::object function{{"name", valid_utf8(call.name)}, {"arguments", valid_utf8(call.arguments)}};
  return {{"id", valid_utf8(call.id)}, {"type", "function"}, {"function", std::move(function)}};
}

json::object call_delta(const ToolCallDelta& call) {
  json::object piece = call.name.empty()
                           ? json::object{{"function", {{"arguments", valid_utf8(call.arguments)}}}}
                           : first_piece(call);
  piece["index"] = call.index;
  return piece;
}

json::object message_object(const ChatAnswer& answer) {
  json::object message{
      {"role", "assistant"}, {"content", valid_utf8(answer.text)}, {"refusal", nullptr}};
  if (!answer.reasoning.empty()) add_reasoning(message, answer.reasoning);
  if (answer.tool_calls.empty()) return message;
  if (answer.text.empty()) message["content"] = nullptr;
  json::array calls;
  for (const auto& call : answer.tool_calls) calls.push_back(first_piece(call));
  message["tool_calls"] = std::move(calls);
  return message;
}

}  // namespace

ChatReply::ChatReply(Options options)
    : options_(std::move(options)), answers_(static_cast<std::size_t>(options_.num_choices)) {}

std::string ChatReply::open() {
  std::string out;
  for (std::size_t i = 0; i < answers_.size(); ++i)
    out += chunk(options_, i, {{"role", "assistant"}, {"content", ""}}, {}, nullptr);
  return out;
}

std::string ChatReply::add(std::size_t choice, const ChatEvent& event) {
  answers_[choice].usage = event.usage;
  json::object delta;
  if (!event.text.empty()) delta["content"] = valid_utf8(event.text);
  if (!event.reasoning.empty()) add_reasoning(delta, event.reasoning);
  if (event.tool_call) delta["tool_calls"] = json::array{call_delta(*event.tool_call)};
  std::string out;
  if (!delta.empty() || !event.tokens.empty() || !event.prompt_tokens.empty())
    out += chunk(options_, choice, std::move(delta), event.tokens, nullptr, event.prompt_tokens);
  if (event.finish) out += chunk(options_, choice, {}, {}, name_of(*event.finish));
  return out;
}

std::string ChatReply::close() {
  std::string out;
  if (options_.include_usage) {
    json::object last = header("chat.completion.chunk", options_);
    last["choices"] = json::array();
    last["usage"] = usage_object(total_usage(answers_), options_.audio_tracks);
    out += sse_event(json::serialize(last));
  }
  out += sse_done;
  return out;
}

std::string ChatReply::fail(const Error& error) { return sse_event(error_body(error)); }

void ChatReply::fold(std::size_t choice, const ChatEvent& event) { answers_[choice].add(event); }

std::string ChatReply::whole() {
  json::object out = header("chat.completion", options_);
  json::array choices;
  for (std::size_t i = 0; i < answers_.size(); ++i)
    choices.push_back(choice_object(i, "message", message_object(answers_[i]), answers_[i].tokens,
                                    options_.tokens, name_of(answers_[i].finish)));
  out["choices"] = std::move(choices);
  if (options_.tokens.ids) out["prompt_token_ids"] = token_ids(answers_.front().prompt_tokens);
  if (options_.tokens.prompt_logprobs)
    out["prompt_logprobs"] = prompt_logprobs(answers_.front().prompt_logprobs);
  out["usage"] = usage_object(total_usage(answers_), options_.audio_tracks);
  return json::serialize(out);
}

}  // namespace pippin::server
