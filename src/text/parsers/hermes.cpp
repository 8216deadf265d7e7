// Hermes, Qwen 2.5 and 3, Granite 4 and many others:
//   <tool_call>
//   {"name": "f", "arguments": {"a": 1}}
//   </tool_call>
#include "text/parsers/formats.h"
#include "text/parsers/json_calls.h"

namespace pippin::text {

std::unique_ptr<CallReader> hermes_calls(const ToolsPtr&) {
  return std::make_unique<JsonCalls>(
      CallReader::Tags{.begin = {"<tool_call>"}, .bare = {}, .end = "</tool_call>", .inner = {}});
}

}  // namespace pippin::text
