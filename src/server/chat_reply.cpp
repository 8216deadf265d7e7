#include "server/chat_reply.h"

#include <utility>

#include "base/json.h"
#include "server/utf8.h"

namespace pippin::server {
namespace {

const char* name_of(FinishReason reason) {
  switch (reason) {
    case FinishReason::stop:
      return "stop";
    case FinishReason::length:
      return "length";
  }
  return "stop";
}

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

constexpr std::string_view chunk_type = "chat.completion.chunk";

}  // namespace

std::string ChatReply::role_chunk() const {
  json::object delta{{"role", "assistant"}, {"content", ""}};
  return json::serialize(
      chunk(header(id_, chunk_type, created_, model_), std::move(delta), nullptr, include_usage_));
}

std::string ChatReply::text_chunk(std::string_view text) const {
  json::object delta{{"content", valid_utf8(text)}};
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

std::string ChatReply::completion(std::string_view text, FinishReason reason,
                                  const Usage& usage) const {
  json::object out = header(id_, "chat.completion", created_, model_);
  json::object message{{"role", "assistant"}, {"content", valid_utf8(text)}, {"refusal", nullptr}};
  out["choices"] = choices("message", std::move(message), name_of(reason));
  out["usage"] = usage_object(usage, audio_tracks_);
  return json::serialize(out);
}

}  // namespace pippin::server
