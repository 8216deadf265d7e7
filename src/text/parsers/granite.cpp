// Granite 3: <|tool_call|>[{"name": "f", "arguments": {"a": 1}}]
#include "text/parsers/formats.h"
#include "text/parsers/json_calls.h"

namespace pippin::text {

std::unique_ptr<CallReader> granite_calls(const ToolsPtr&) {
  return std::make_unique<JsonCalls>(
      CallReader::Tags{.begin = {"<|tool_call|>"}, .bare = {}, .end = "", .inner = {}});
}

}  // namespace pippin::text
