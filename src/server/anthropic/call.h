// A request of Anthropic's Messages API: JSON -> native types.
#pragma once

#include <span>
#include <string_view>

#include "server/chat/call.h"
#include "server/schema/field_table.h"
#include "server/schema/sampling_defaults.h"

namespace pippin::server {

/// POST /v1/messages, understood.
struct MessagesCall {
  ChatCall chat;  ///< its stop strings are the request's stop_sequences
  bool omit_thinking = false;
  bool prompt_only = false;  ///< max_tokens 0: the prompt is read, and nothing answered
};

/// Without `thinking` the model is told not to think, as the API has it. `defaults` is how the answer is sampled where the request
/// says nothing. With `to_count`, POST /v1/messages/count_tokens, which needs no max_tokens.
/// Throws Error(invalid_argument) naming the field that is malformed, out of range or not supported.
MessagesCall parse_messages_call(std::string_view body, const SamplingDefaults& defaults,
                                 bool to_count = false);

/// Every field that a request may carry.
std::span<const Field> messages_fields();

}  // namespace pippin::server
