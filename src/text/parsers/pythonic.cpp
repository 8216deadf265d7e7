// Llama 4 and Llama 3.2's small ones: [f(a=1), g(b="x")], sometimes between <|python_start|> and <|python_end|>.
#include "text/parsers/formats.h"
#include "text/parsers/python_calls.h"

namespace pippin::text {

std::unique_ptr<CallReader> pythonic_calls(const ToolsPtr& tools) {
  return std::make_unique<PythonCalls>(
      CallReader::Tags{
          .begin = {"<|python_start|>"}, .bare = {"["}, .end = "<|python_end|>", .inner = {}},
      tools);
}

}  // namespace pippin::text
