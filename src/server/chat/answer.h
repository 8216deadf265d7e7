// Answers as their events add up.
#pragma once

#include <string>
#include <vector>

#include "pippin/request.h"

namespace pippin::server {

/// An answer folded from its events.
struct ChatAnswer {
  std::string text;
  std::string reasoning;
  std::vector<ToolCallDelta> tool_calls;     ///< whole calls, in order of their indices
  std::vector<AnswerToken> tokens;           ///< where asked for
  std::vector<std::int32_t> prompt_tokens;   ///< where asked for
  std::vector<AnswerToken> prompt_logprobs;  ///< where asked for
  FinishReason finish = FinishReason::stop;
  Usage usage;

  void add(const ChatEvent& event);
};

/// The usage of several answers to one prompt.
Usage total_usage(const std::vector<ChatAnswer>& answers);

}  // namespace pippin::server
