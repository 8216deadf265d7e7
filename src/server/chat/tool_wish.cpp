#include "server/chat/tool_wish.h"

#include <algorithm>

#include "server/schema/request_json.h"
#include "server/schema/utf8.h"

namespace pippin::server {
namespace {

json::array offered(const ChatRequest& request) {
  if (request.tools_json.empty()) return {};
  return parse_json(request.tools_json, "tools").as_array();
}

bool has_name(const json::value& tool, const std::string& name) {
  return tool.at("function").at("name") == json::string_view(name);
}

void check_names(const json::array& tools, const std::vector<std::string>& names,
                 const std::string& field) {
  for (const std::string& name : names)
    if (std::none_of(tools.begin(), tools.end(),
                     [&](const json::value& tool) { return has_name(tool, name); }))
      refuse(field, "names the tool '" + excerpt(name) + "', which 'tools' does not offer");
}

json::array those_of(const json::array& tools, const std::vector<std::string>& names) {
  json::array kept;
  for (const json::value& tool : tools)
    if (std::any_of(names.begin(), names.end(),
                    [&](const std::string& name) { return has_name(tool, name); }))
      kept.push_back(tool);
  return kept;
}

}  // namespace

bool any_strict(const json::array& tools) {
  return std::any_of(tools.begin(), tools.end(), [](const json::value& tool) {
    const auto* strict = tool.as_object().if_contains("strict");
    return strict && *strict == true;
  });
}

void apply(const ToolWish& choice, const std::string& field, ChatRequest& request) {
  if (!choice.names.empty()) check_names(offered(request), choice.names, field);
  switch (choice.kind) {
    case ToolWish::Kind::automatic:
      // A model that does not see a tool does not call it.
      if (!choice.names.empty())
        request.tools_json = json::serialize(those_of(offered(request), choice.names));
      return;
    case ToolWish::Kind::none:
      request.tools_json.clear();
      request.template_tools_json.reset();
      request.tool_choice.strict = false;
      return;
    case ToolWish::Kind::required:
      if (request.tools_json.empty()) refuse(field, "needs 'tools' to choose from");
      request.tool_choice.required = true;
      request.tool_choice.allowed = choice.names;
  }
}

}  // namespace pippin::server
