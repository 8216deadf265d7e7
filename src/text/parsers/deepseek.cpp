// DeepSeek V3 and R1-0528:
//   <｜tool▁calls▁begin｜><｜tool▁call▁begin｜>function<｜tool▁sep｜>f
//   ```json
//   {"a": 1}
//   ```<｜tool▁call▁end｜><｜tool▁calls▁end｜>
// and V3.1, without type and fence: <｜tool▁call▁begin｜>f<｜tool▁sep｜>{"a": 1}<｜tool▁call▁end｜>
#include "text/parsers/formats.h"
#include "text/parsers/named_calls.h"

namespace pippin::text {
namespace {

constexpr std::string_view call = "<｜tool▁call▁begin｜>";
constexpr std::string_view call_end = "<｜tool▁call▁end｜>";
constexpr std::string_view separator = "<｜tool▁sep｜>";

std::optional<CallHead> parse_head(std::string_view head) {
  const auto at = head.find(separator);
  if (at == std::string_view::npos) return std::nullopt;
  const auto behind = trimmed(head.substr(at + separator.size()));
  const auto name = behind.empty() || behind.starts_with('`')
                        ? head.substr(0, at)
                        : behind.substr(0, behind.find_first_of("\n`"));
  return CallHead{std::string(trimmed(name))};
}

}  // namespace

std::unique_ptr<CallReader> deepseek_calls(const ToolsPtr&) {
  return std::make_unique<NamedCalls>(CallReader::Tags{.begin = {"<｜tool▁calls▁begin｜>", call},
                                                       .bare = {},
                                                       .end = "<｜tool▁calls▁end｜>",
                                                       .inner = {call_end, separator}},
                                      NamedCalls::Layout{call, call_end}, parse_head);
}

}  // namespace pippin::text
