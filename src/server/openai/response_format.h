// What a request wants its answer to be: OpenAI's response_format, and vLLM's structured_outputs and guided_*.
#pragma once

#include <cstdint>
#include <optional>

#include "base/json.h"
#include "pippin/request.h"

namespace pippin::server {

/// Reads response_format ({"type": "text" | "json_object" | "json_schema"}), structured_outputs ({"json": ...}, "regex",
/// "choice", "grammar" or "json_object") and guided_json, guided_regex, guided_choice and guided_grammar, of which one may
/// restrict the answer. llama.cpp's spellings of a schema, {"type": "json_object" | "json_schema", "schema": ...}, are kept to. A schema marked "strict" and one that is not are kept to alike.
/// Throws Error(invalid_argument) naming the field that is malformed, or the second one.
ResponseFormat parse_response_format(const Members& body);

/// thinking_token_budget, or Qwen's thinking_budget: at least 0.
std::optional<std::int64_t> parse_thinking_budget(const Members& body);

}  // namespace pippin::server
