// Messages as chat templates expect them.
#pragma once

#include <string>
#include <vector>

#include "pippin/request.h"

namespace pippin::text {

/// JSON array of the messages. Content that is only text becomes one string (several pieces joined by newlines), which every
/// template understands; with a picture or video it becomes the list of parts {"type": "text", "text": ...},
/// {"type": "image"} and {"type": "video"}.
/// Reasoning ("reasoning_content") is there as "thinking", too, as transformers gives it to templates.
/// Throws Error(invalid_argument) where a message's extra_json is not an object.
std::string messages_json(const std::vector<Message>& messages);

}  // namespace pippin::text
