// The tools of OpenAI's Responses API and which of them an answer calls: JSON -> native types.
#pragma once

#include <map>
#include <string>
#include <string_view>

#include "base/json.h"
#include "server/chat/call.h"

namespace pippin::server {

/// A function within a namespace, {"type": "namespace", "name", "description", "tools"}, of which templates know nothing.
struct NamespacedName {
  std::string space;
  std::string name;
};
/// By the names that templates know them by.
using Namespaces = std::map<std::string, NamespacedName, std::less<>>;

/// "<space>__<name>"; the name alone without a namespace.
std::string qualified_name(std::string_view space, std::string_view name);

struct ResponsesTools {
  json::array repeated;  ///< as a response repeats them
  Namespaces namespaces;
};

/// Reads tools, tool_choice ("auto", "none", "required", {"type": "function", "name"} or {"type": "allowed_tools", "mode", "tools"})
/// and parallel_tool_calls into `call`. A namespace's description stands before that of its first function. Tools that OpenAI's
/// servers run or only its models know are refused by their type; but beside functions a web search, custom, local_shell and
/// image_generation, which agents offer unasked, are left out and told as ignored. Throws Error(invalid_argument) naming what is
/// malformed, or the tool that is not offered.
ResponsesTools parse_responses_tools(const Members& body, ChatCall& call);

}  // namespace pippin::server
