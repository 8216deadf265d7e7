// Native types -> the JSON of Anthropic's Messages API, streamed and whole.
#pragma once

#include <string>
#include <vector>

#include "base/json.h"
#include "server/chat/block_reply.h"

namespace pippin::server {

/// A stream's events are message_start, then for each block content_block_start, content_block_delta ... and
/// content_block_stop, then message_delta and message_stop; a ping follows the first content_block_start. message_start waits
/// for the answer's first token, since it says what of the prompt was cached; until then keep-alive comments are sent.
/// Tokens of the prompt that were cached are cache_read_input_tokens, all others input_tokens: cache_creation_input_tokens,
/// which costs more elsewhere, is always 0. The three add up to the prompt.
class AnthropicReply final : public BlockReply {
 public:
  struct Options {
    std::string id;          ///< "msg_..."
    std::string request_id;  ///< for errors
    std::string model;
    std::vector<std::string> stop_sequences;  ///< as the request gave them
    bool omit_thinking = false;               ///< blocks of thinking are there, but empty
    bool prompt_only = false;                 ///< nothing of the answer is told; not in a stream
  };

  explicit AnthropicReply(Options options);

  std::string open() override { return {}; }
  std::string fail(const Error& error) override;
  std::string whole() override;

 private:
  std::string first() override;
  std::string begin() override;
  std::string grow(std::string_view piece) override;
  std::string end() override;
  std::string last() override;

  json::object usage_object() const;
  json::object block_object(const AnswerBlock& block) const;
  /// Sets "stop_reason" and "stop_sequence".
  void add_stop(json::object& object) const;

  const Options options_;
};

}  // namespace pippin::server
