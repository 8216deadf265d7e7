// A request of OpenAI's Responses API: JSON -> native types.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "server/chat/call.h"
#include "server/responses/items.h"
#include "server/responses/tools.h"
#include "server/schema/field_table.h"
#include "server/schema/sampling_defaults.h"

namespace pippin::server {

/// POST /v1/responses, understood, but for what came before it.
struct ResponsesCall {
  ChatCall chat;  ///< without its messages, which read_items gives
  std::string previous_response_id;
  bool store = true;
  bool summarize =
      false;  ///< reasoning is told as its summary (whole, as it is), not as reasoning_text
  bool encrypt = false;   ///< reasoning items have an encrypted_content
  json::array input;      ///< the items, each with an id; a string has become one
  json::object repeated;  ///< members of the request that the response repeats
  Namespaces namespaces;  ///< of its tools
};

/// `id` names the response and, with numbers behind it, its items. `defaults` is how the answer is sampled where the request
/// says nothing. Throws Error(invalid_argument) naming the field that is malformed, out of range or not supported.
ResponsesCall parse_responses_call(std::string_view body, const std::string& id,
                                   const SamplingDefaults& defaults);

/// Every field that a request may carry.
std::span<const Field> responses_fields();

/// Fills the messages: the instructions, `earlier` items of the conversation, then the call's own, of which references become the
/// items that they refer to. Throws as above, and Error(not_found) for a reference to an item that `find` doesn't know.
void read_items(ResponsesCall& call, const json::array& earlier, FindItem find);

}  // namespace pippin::server
