// Llama 3.1 to 3.3, without a mark: {"name": "f", "parameters": {"a": 1}}, several separated by semicolons, sometimes behind
// <|python_tag|>. An answer may be JSON, too; only objects that name an offered tool are calls.
#include "text/parsers/formats.h"
#include "text/parsers/json_calls.h"

namespace pippin::text {

std::unique_ptr<CallReader> llama3_json_calls(const ToolsPtr& tools) {
  return std::make_unique<JsonCalls>(
      CallReader::Tags{.begin = {"<|python_tag|>"}, .bare = {"{"}, .end = "", .inner = {}},
      JsonCalls::Options{.offered = tools});
}

}  // namespace pippin::text
