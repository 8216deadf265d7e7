// Llama 4 and Llama 3.2's small ones: [f(a=1), g(b="x")], sometimes between <|python_start|> and <|python_end|>.
// LFM2 and LFM2.5: the same between <|tool_call_start|> and <|tool_call_end|>.
#include "text/parsers/formats.h"
#include "text/parsers/python_calls.h"

namespace pippin::text {

std::unique_ptr<CallReader> pythonic_calls(const ToolsPtr& tools) {
  return std::make_unique<PythonCalls>(
      CallReader::Tags{
          .begin = {"<|python_start|>"}, .bare = {"["}, .end = "<|python_end|>", .inner = {}},
      tools);
}

std::unique_ptr<CallReader> lfm2_calls(const ToolsPtr& tools) {
  return std::make_unique<PythonCalls>(
      CallReader::Tags{
          .begin = {"<|tool_call_start|>"}, .bare = {}, .end = "<|tool_call_end|>", .inner = {}},
      tools);
}

}  // namespace pippin::text
