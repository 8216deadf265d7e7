#include "server/tool_wish.h"

#include <algorithm>

#include "server/request_json.h"
#include "server/utf8.h"

namespace pippin::server {
namespace {

bool offers(const ChatRequest& request, const std::string& name) {
  if (request.tools_json.empty()) return false;
  const json::value tools = parse_json(request.tools_json, "tools");
  const json::array& list = tools.as_array();
  return std::any_of(list.begin(), list.end(), [&](const json::value& tool) {
    return tool.at("function").at("name") == json::string_view(name);
  });
}

}  // namespace

bool any_strict(const json::array& tools) {
  return std::any_of(tools.begin(), tools.end(), [](const json::value& tool) {
    const auto* strict = tool.as_object().if_contains("strict");
    return strict && *strict == true;
  });
}

void apply(const ToolWish& choice, const std::string& field, ChatRequest& request) {
  switch (choice.kind) {
    case ToolWish::Kind::automatic:
      return;
    case ToolWish::Kind::none:
      // A model that does not see the tools does not call them.
      request.tools_json.clear();
      request.tool_choice.strict = false;
      return;
    case ToolWish::Kind::required:
      if (request.tools_json.empty()) refuse(field, "needs 'tools' to choose from");
      request.tool_choice.required = true;
      return;
    case ToolWish::Kind::named:
      if (!offers(request, choice.name))
        refuse(field,
               "names the tool '" + excerpt(choice.name) + "', which 'tools' does not offer");
      request.tool_choice.required = true;
      request.tool_choice.allowed = {choice.name};
  }
}

}  // namespace pippin::server
