// Prompts that end within their last message, which the answer goes on with.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "pippin/request.h"
#include "text/chat_template.h"

namespace pippin::text {

/// A prompt, and where in it the answer begins: behind it, but for what the request gives of it.
struct OpenPrompt {
  std::string text;
  std::size_t answer =
      0;  ///< in bytes; from there on it is what a model would have written, markup included
};

/// Renders the messages up to the end of the last one's text (its reasoning, where it has no text), as transformers does with
/// continue_final_message. `input` says all but the messages. Throws Error(invalid_argument) naming "messages" where the last one has
/// no text to go on with, has calls behind it, or is not shown as it is by the template. Reasoning that the template does not show goes
/// on all the same where the template ends prompts with `thought_tag`, which begins a thought.
OpenPrompt render_open(const ChatTemplate& chat_template, const std::vector<Message>& messages,
                       ChatInput input, std::string_view thought_tag = {});

}  // namespace pippin::text
