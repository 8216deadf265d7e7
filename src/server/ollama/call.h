// Requests of Ollama's API: JSON -> native types.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "server/chat/call.h"
#include "server/schema/field_table.h"
#include "server/schema/sampling_defaults.h"

namespace pippin::server {

/// POST /api/chat, understood.
struct OllamaChat {
  ChatCall chat;
  bool only_loads =
      false;  ///< there is no message: the client wants the model loaded, and no answer
};

/// POST /api/generate, understood.
struct OllamaGenerate {
  ChatCall chat;
  std::optional<CompletionCall>
      text;  ///< in place of `chat`: `raw` or a `suffix`, which take no template
  bool only_loads = false;
};

// Both throw Error(invalid_argument) naming the field that is malformed, out of range or not supported. `defaults` is how the answer is
// sampled where the request says nothing.
OllamaChat parse_ollama_chat(std::string_view body, const SamplingDefaults& defaults);
OllamaGenerate parse_ollama_generate(std::string_view body, const SamplingDefaults& defaults);

/// The model that POST /api/show asks about; empty: any.
std::string parse_ollama_show(std::string_view body);

/// Every field that a request may carry.
std::span<const Field> ollama_chat_fields();
std::span<const Field> ollama_generate_fields();
std::span<const Field> ollama_show_fields();

}  // namespace pippin::server
