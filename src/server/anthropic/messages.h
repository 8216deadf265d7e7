// The system prompt and messages of Anthropic's Messages API: JSON -> native types.
#pragma once

#include "server/anthropic/tools.h"
#include "server/chat/messages.h"
#include "server/schema/request_json.h"

namespace pippin::server {

/// Converts the body's "system" (a string or blocks of text) and "messages". A turn's results of tools become messages
/// of role "tool", before and after which what else it says has a message each; a result that is an error begins with
/// "Error: ". What an assistant thought goes to templates as reasoning_content; redacted thinking can't be read and goes
/// nowhere. Throws Error(invalid_argument) naming the path of what is wrong, or of a block that can't be shown to a model.
/// Where a result or system message refers to one of the `tools` that are loaded later, its definition stands, between <tools> and
/// </tools>.
ParsedMessages parse_anthropic_messages(const RequestBody& body, const AnthropicTools& tools);

}  // namespace pippin::server
