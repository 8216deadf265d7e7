// Calls as a head that names the tool and JSON arguments:
//   functionary 3.1  <function=f>{"a": 1}</function>
//   functionary 3.2  >>>f
//                    {"a": 1}, where ">>>all" begins a text, and the prompt ends in the first ">>>"
//   Solar Open       <|tool_call:begin|>ID<|tool_call:name|>f<|tool_call:args|>{"a": 1}<|tool_call:end|>
#include "text/parsers/formats.h"
#include "text/parsers/named_calls.h"

namespace pippin::text {
namespace {

constexpr std::string_view solar_call = "<|tool_call:begin|>";
constexpr std::string_view solar_call_end = "<|tool_call:end|>";
constexpr std::string_view solar_name = "<|tool_call:name|>";
constexpr std::string_view solar_arguments = "<|tool_call:args|>";

std::optional<CallHead> element_head(std::string_view head) {
  head = trimmed(head);
  if (!head.ends_with('>')) return std::nullopt;
  return CallHead{std::string(head.substr(0, head.size() - 1))};
}

std::optional<CallHead> line_head(std::string_view head) {
  const auto line = head.find('\n');
  if (line == std::string_view::npos || !trimmed(head.substr(line)).empty()) return std::nullopt;
  return CallHead{std::string(head.substr(0, line))};
}

std::optional<CallHead> solar_head(std::string_view head) {
  const auto name = head.find(solar_name);
  const auto arguments = head.find(solar_arguments);
  if (name == std::string_view::npos || arguments == std::string_view::npos || arguments < name)
    return std::nullopt;
  const auto begin = name + solar_name.size();
  if (arguments < begin) return std::nullopt;
  return CallHead{std::string(trimmed(head.substr(begin, arguments - begin))),
                  std::string(trimmed(head.substr(0, name)))};
}

}  // namespace

std::unique_ptr<CallReader> functionary_v31_calls(const ToolsPtr&) {
  constexpr std::string_view call = "<function=";
  return std::make_unique<NamedCalls>(
      CallReader::Tags{.begin = {call}, .bare = {}, .end = "", .inner = {}},
      NamedCalls::Layout{call, "</function>"}, element_head);
}

std::unique_ptr<CallReader> functionary_v32_calls(const ToolsPtr& tools) {
  constexpr std::string_view call = ">>>";
  return std::make_unique<NamedCalls>(
      CallReader::Tags{.begin = {call}, .bare = {}, .end = "", .inner = {}},
      NamedCalls::Layout{.call = call, .call_end = "", .text_head = "all\n", .offered = tools},
      line_head);
}

std::unique_ptr<CallReader> solar_open_calls(const ToolsPtr&) {
  return std::make_unique<NamedCalls>(
      CallReader::Tags{.begin = {solar_call},
                       .bare = {},
                       .end = "",
                       .inner = {solar_call_end, solar_name, solar_arguments}},
      NamedCalls::Layout{solar_call, solar_call_end}, solar_head);
}

}  // namespace pippin::text
