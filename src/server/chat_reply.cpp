#include "server/chat_reply.h"

#include <utility>

#include "base/json.h"
#include "server/utf8.h"

namespace pippin::server {

const char* name_of(FinishReason reason) {
  switch (reason) {
    case FinishReason::stop:
      return "stop";
    case FinishReason::length:
      return "length";
    case FinishReason::tool_calls:
      return "tool_calls";
  }
  return "stop";
}

namespace {

json::object usage_object(const Usage& usage, int audio_tracks) {
  json::object details{{"cached_tokens", usage.cached_tokens},
                       {"media_cached", usage.media_cached}};
  if (audio_tracks > 0) details["ignored_audio_tracks"] = audio_tracks;
  return {{"prompt_tokens", usage.prompt_tokens},
          {"completion_tokens", usage.completion_tokens},
          {"total_tokens", usage.prompt_tokens + usage.completion_tokens},
          {"prompt_tokens_details", std::move(details)}};
}

json::object header(std::string_view id, std::string_view object, std::int64_t created,
                    std::string_view model) {
  return {{"id", id}, {"object", object}, {"created", created}, {"model", valid_utf8(model)}};
}

// A list with the one choice there is; `content` is its "delta" or "message".
json::array choices(std::string_view name, json::object content, json::value finish_reason) {
  json::object choice;
  choice["index"] = 0;
  choice[name] = std::move(content);
  choice["logprobs"] = nullptr;
  choice["finish_reason"] = std::move(finish_reason);
  json::array list;
  list.push_back(std::move(choice));
  return list;
}

json::object chunk(const json::object& head, json::object delta, json::value finish_reason,
                   bool include_usage) {
  json::object out = head;
  out["choices"] = choices("delta", std::move(delta), std::move(finish_reason));
  if (include_usage) out["usage"] = nullptr;
  return out;
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

constexpr std::string_view chunk_type = "chat.completion.chunk";

}  // namespace

void ChatAnswer::add(const ChatEvent& event) {
  text += event.text;
  reasoning += event.reasoning;
  usage = event.usage;
  if (event.finish) finish = *event.finish;
  if (!event.tool_call) return;
  if (event.tool_call->name.empty())
    tool_calls.back().arguments += event.tool_call->arguments;
  else
    tool_calls.push_back(*event.tool_call);
}

std::string ChatReply::role_chunk() const {
  json::object delta{{"role", "assistant"}, {"content", ""}};
  return json::serialize(
      chunk(header(id_, chunk_type, created_, model_), std::move(delta), nullptr, include_usage_));
}

std::string ChatReply::delta_chunk(const ChatEvent& event) const {
  json::object delta;
  if (!event.text.empty()) delta["content"] = valid_utf8(event.text);
  if (!event.reasoning.empty()) add_reasoning(delta, event.reasoning);
  if (event.tool_call) delta["tool_calls"] = json::array{call_delta(*event.tool_call)};
  return json::serialize(
      chunk(header(id_, chunk_type, created_, model_), std::move(delta), nullptr, include_usage_));
}

std::string ChatReply::finish_chunk(FinishReason reason) const {
  return json::serialize(
      chunk(header(id_, chunk_type, created_, model_), {}, name_of(reason), include_usage_));
}

std::string ChatReply::usage_chunk(const Usage& usage) const {
  json::object out = header(id_, chunk_type, created_, model_);
  out["choices"] = json::array();
  out["usage"] = usage_object(usage, audio_tracks_);
  return json::serialize(out);
}

std::string ChatReply::completion(const ChatAnswer& answer) const {
  json::object out = header(id_, "chat.completion", created_, model_);
  json::object message{
      {"role", "assistant"}, {"content", valid_utf8(answer.text)}, {"refusal", nullptr}};
  if (!answer.reasoning.empty()) add_reasoning(message, answer.reasoning);
  if (!answer.tool_calls.empty()) {
    if (answer.text.empty()) message["content"] = nullptr;
    json::array calls;
    for (const auto& call : answer.tool_calls) calls.push_back(first_piece(call));
    message["tool_calls"] = std::move(calls);
  }
  out["choices"] = choices("message", std::move(message), name_of(answer.finish));
  out["usage"] = usage_object(answer.usage, audio_tracks_);
  return json::serialize(out);
}

}  // namespace pippin::server
