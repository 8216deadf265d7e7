#include "server/chat/tool_fields.h"

#include <charconv>
#include <cstddef>

#include "base/json.h"

namespace pippin::server {
namespace {

constexpr std::string_view head = "tools.", tail = ".function.parameters";

}  // namespace

ToolFields::ToolFields(const ChatCall& call) {
  if (call.tool_fields.empty() || call.request.tools_json.empty()) return;
  const json::value tools = parse_json(call.request.tools_json, "tools");
  for (const json::value& tool : tools.as_array()) {
    const auto field =
        call.tool_fields.find(std::string_view(tool.at("function").at("name").as_string()));
    fields_.push_back(field == call.tool_fields.end() ? "tools" : field->second);
  }
}

std::string ToolFields::as_sent(std::string_view text) const {
  std::string out;
  for (std::size_t at = text.find(head); at != std::string_view::npos; at = text.find(head)) {
    out += text.substr(0, at);
    text.remove_prefix(at);
    std::size_t index = 0;
    const auto* begin = text.data() + head.size();
    const auto* end = std::from_chars(begin, text.data() + text.size(), index).ptr;
    const auto size = static_cast<std::size_t>(end - text.data());
    if (end > begin && index < fields_.size() && text.substr(size).starts_with(tail)) {
      out += fields_[index];
      text.remove_prefix(size + tail.size());
    } else {
      out += head;
      text.remove_prefix(head.size());
    }
  }
  return out.append(text);
}

}  // namespace pippin::server
