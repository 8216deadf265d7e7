// Native types -> the JSON of a chat completion, streamed and whole.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "pippin/request.h"

namespace pippin::server {

/// As the API has it: "stop".
const char* name_of(FinishReason reason);

/// An answer folded from its events.
struct ChatAnswer {
  std::string text;
  std::string reasoning;
  std::vector<ToolCallDelta> tool_calls;  ///< whole calls, in order of their indices
  FinishReason finish = FinishReason::stop;
  Usage usage;

  void add(const ChatEvent& event);
};

/// What every piece of one answer repeats.
class ChatReply {
 public:
  /// `id` names the answer, `created` is in seconds since 1970; with `include_usage` every chunk has a usage member.
  /// `audio_tracks` of the prompt's videos were not listened to, as the usage then says.
  ChatReply(std::string id, std::string model, std::int64_t created, bool include_usage,
            int audio_tracks)
      : id_(std::move(id)),
        model_(std::move(model)),
        created_(created),
        include_usage_(include_usage),
        audio_tracks_(audio_tracks) {}

  /// The chat.completion.chunk objects, in the order in which they are sent. delta_chunk carries what an event says: text,
  /// reasoning (by vLLM's name and by DeepSeek's) or a piece of a call.
  std::string role_chunk() const;
  std::string delta_chunk(const ChatEvent& event) const;
  std::string finish_chunk(FinishReason reason) const;
  /// After the last, where the usage was asked for.
  std::string usage_chunk(const Usage& usage) const;

  /// The chat.completion object.
  std::string completion(const ChatAnswer& answer) const;

 private:
  const std::string id_;
  const std::string model_;
  const std::int64_t created_;
  const bool include_usage_;
  const int audio_tracks_;
};

}  // namespace pippin::server
