// The messages of Ollama's API: JSON -> native types.
#pragma once

#include <string>

#include "base/json.h"
#include "server/chat/messages.h"
#include "server/schema/request_json.h"

namespace pippin::server {

/// Converts "messages": each with a text, pictures in base64 before it, earlier calls with their arguments as objects, and what an assistant
/// thought. A message of role "tool" answers the first call that has no answer yet, or the first of its `tool_name`. Throws
/// Error(invalid_argument) naming the path of what is wrong.
ParsedMessages parse_ollama_messages(const RequestBody& body, const json::array& messages);

/// The chat that POST /api/generate is short for. `system` may be empty, `images` null.
ParsedMessages ollama_prompt(const std::string& system, std::string prompt,
                             const json::array* images);

}  // namespace pippin::server
