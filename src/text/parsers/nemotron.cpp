// Nemotron Nano 2: <TOOLCALL>[{"name": "f", "arguments": {"a": 1}}]</TOOLCALL>
#include "text/parsers/formats.h"
#include "text/parsers/json_calls.h"

namespace pippin::text {

std::unique_ptr<CallReader> nemotron_calls(const ToolsPtr&) {
  return std::make_unique<JsonCalls>(
      CallReader::Tags{.begin = {"<TOOLCALL>"}, .bare = {}, .end = "</TOOLCALL>", .inner = {}});
}

}  // namespace pippin::text
