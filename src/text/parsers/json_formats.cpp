// Calls as JSON between tags of their own:
//   Apertus                  <|tools_prefix|>[{"f": {"a": 1}}]<|tools_suffix|>
//   Apriel and MiniMax M1    <tool_calls>[{"name": "f", "arguments": {"a": 1}}]</tool_calls>, M1 an object a line without brackets
//   Command R7B, Command A   <|START_ACTION|>[{"tool_call_id": "0", "tool_name": "f", "parameters": {"a": 1}}]<|END_ACTION|>
//   firefunction             functools[{"name": "f", "arguments": {"a": 1}}]
//   GigaChat 3               function call<|role_sep|>
//                            {"name": "f", "arguments": {"a": 1}}, and 3.1 the same behind <|function_call|>
#include "text/parsers/formats.h"
#include "text/parsers/json_calls.h"

namespace pippin::text {
namespace {

std::unique_ptr<CallReader> json_between(std::string_view begin, std::string_view end,
                                         std::vector<std::string_view> inner = {}) {
  return std::make_unique<JsonCalls>(
      CallReader::Tags{.begin = {begin}, .bare = {}, .end = end, .inner = std::move(inner)});
}

}  // namespace

std::unique_ptr<CallReader> apertus_calls(const ToolsPtr&) {
  return std::make_unique<JsonCalls>(
      CallReader::Tags{
          .begin = {"<|tools_prefix|>"}, .bare = {}, .end = "<|tools_suffix|>", .inner = {}},
      JsonCalls::Options{.keyed_by_name = true});
}

std::unique_ptr<CallReader> listed_calls(const ToolsPtr&) {
  return json_between("<tool_calls>", "</tool_calls>");
}

std::unique_ptr<CallReader> command_r7b_calls(const ToolsPtr&) {
  return json_between("<|START_ACTION|>", "<|END_ACTION|>");
}

std::unique_ptr<CallReader> firefunction_calls(const ToolsPtr&) {
  return json_between("functools[", "]");
}

std::unique_ptr<CallReader> gigachat3_calls(const ToolsPtr&) {
  return json_between("function call<|role_sep|>", "", {"<|role_sep|>"});
}

std::unique_ptr<CallReader> gigachat3_1_calls(const ToolsPtr&) {
  return json_between("<|function_call|>", "");
}

}  // namespace pippin::text
