// Command R:
//   Action: ```json
//   [{"tool_name": "f", "parameters": {"a": 1}}]```
#include "text/parsers/formats.h"
#include "text/parsers/json_calls.h"

namespace pippin::text {

std::unique_ptr<CallReader> command_r_calls(const ToolsPtr&) {
  return std::make_unique<JsonCalls>(CallReader::Tags{
      .begin = {"Action: ```json", "Action:\n```json"}, .bare = {}, .end = "```", .inner = {}});
}

}  // namespace pippin::text
