// Phi-4-mini: <|tool_call|>[{"name": "f", "arguments": {"a": 1}}]<|/tool_call|>, or functools[...] by an older prompt.
#include "text/parsers/formats.h"
#include "text/parsers/json_calls.h"

namespace pippin::text {

std::unique_ptr<CallReader> phi_calls(const ToolsPtr&) {
  return std::make_unique<JsonCalls>(CallReader::Tags{
      .begin = {"<|tool_call|>", "functools["}, .bare = {}, .end = "<|/tool_call|>", .inner = {}});
}

}  // namespace pippin::text
