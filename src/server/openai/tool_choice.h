// The tools of a request and which of them its answer calls: JSON -> native types.
#pragma once

#include "base/json.h"
#include "server/chat/call.h"

namespace pippin::server {

/// Reads tools, tool_choice and parallel_tool_calls. tool_choice is "none", "auto", "required", {"type": "function", "function":
/// {"name": ...}} or {"type": "allowed_tools", "allowed_tools": {"mode": "auto" | "required", "tools": [...]}}.
/// Throws Error(invalid_argument) naming what is malformed, or the tool that is not offered.
void parse_tool_fields(const Members& body, ChatCall& call);

}  // namespace pippin::server
