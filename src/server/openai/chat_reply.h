// Native types -> the JSON of a chat completion, streamed and whole.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "server/chat/answer.h"
#include "server/chat/call.h"
#include "server/chat/reply.h"

namespace pippin::server {

/// chat.completion.chunk objects and "[DONE]", or one chat.completion.
class ChatReply final : public Reply {
 public:
  /// What every piece repeats, and how the answer was asked for.
  struct Options {
    std::string id;
    std::string model;
    std::int64_t created = 0;    ///< in seconds since 1970
    bool include_usage = false;  ///< each chunk has a usage member, null but in a last one
    int audio_tracks = 0;  ///< of the prompt's videos, not listened to, as the usage then says
    int num_choices = 1;
    TokenWishes tokens = {};
  };

  explicit ChatReply(Options options);

  std::string open() override;
  /// Says text, reasoning (by vLLM's name and by DeepSeek's) or a piece of a call, and how a choice ended.
  std::string add(std::size_t choice, const ChatEvent& event) override;
  std::string close() override;
  std::string fail(const Error& error) override;
  void fold(std::size_t choice, const ChatEvent& event) override;
  std::string whole() override;

 private:
  const Options options_;
  std::vector<ChatAnswer> answers_;  ///< so far; of streamed ones only how they end
};

}  // namespace pippin::server
