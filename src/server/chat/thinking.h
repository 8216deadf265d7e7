// Whether and how much a model thinks before it answers, as chat templates take it.
#pragma once

#include <string>
#include <string_view>

#include "base/json.h"

namespace pippin::server {

/// Sets the variables by which templates switch thinking on and off: enable_thinking (Qwen, GLM ...), thinking (DeepSeek,
/// Granite). Models that can't be told do as they do.
void set_thinking(json::object& kwargs, bool on);

/// Sets reasoning_effort (gpt-oss), which templates know as low, medium or high: minimal counts as low, xhigh and max as high;
/// none switches thinking off. Throws Error(invalid_argument) naming `field` for another word.
void set_effort(json::object& kwargs, std::string_view effort, const std::string& field);

}  // namespace pippin::server
