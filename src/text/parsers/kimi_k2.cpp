// Kimi K2, whose calls carry their ids:
//   <|tool_calls_section_begin|><|tool_call_begin|>functions.f:0<|tool_call_argument_begin|>{"a": 1}<|tool_call_end|>
//   <|tool_calls_section_end|>
#include "text/parsers/formats.h"
#include "text/parsers/named_calls.h"

namespace pippin::text {
namespace {

constexpr std::string_view call = "<|tool_call_begin|>";
constexpr std::string_view call_end = "<|tool_call_end|>";
constexpr std::string_view separator = "<|tool_call_argument_begin|>";

// "functions.f:0" is both the id, which the template wants back, and the name.
std::optional<CallHead> parse_head(std::string_view head) {
  const auto at = head.find(separator);
  if (at == std::string_view::npos) return std::nullopt;
  const auto id = trimmed(head.substr(0, at));
  auto name = id.substr(0, id.rfind(':'));
  if (name.starts_with("functions.")) name.remove_prefix(std::string_view("functions.").size());
  return CallHead{std::string(name), std::string(id)};
}

}  // namespace

std::unique_ptr<CallReader> kimi_k2_calls(const ToolsPtr&) {
  return std::make_unique<NamedCalls>(
      CallReader::Tags{.begin = {"<|tool_calls_section_begin|>", call},
                       .bare = {},
                       .end = "<|tool_calls_section_end|>",
                       .inner = {call_end, separator}},
      NamedCalls::Layout{call, call_end}, parse_head);
}

}  // namespace pippin::text
