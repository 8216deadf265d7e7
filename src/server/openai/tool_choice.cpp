#include "server/openai/tool_choice.h"

#include <algorithm>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "server/chat/messages.h"
#include "server/chat/tool_wish.h"
#include "server/schema/request_json.h"

namespace pippin::server {
namespace {

const json::object& function_of(const json::value& tool) {
  return tool.as_object().at("function").as_object();
}

std::string_view name_of(const json::value& tool) {
  return std::string_view(function_of(tool).at("name").as_string());
}

bool is_strict(const json::value& tool) {
  const auto* strict = function_of(tool).if_contains("strict");
  return strict && *strict == true;
}

void check_offered(const json::array& tools, const std::string& name, const std::string& field) {
  if (std::none_of(tools.begin(), tools.end(),
                   [&](const auto& tool) { return name_of(tool) == name; }))
    refuse(field, "names the tool '" + name + "', which 'tools' does not offer");
}

// {"type": "function", "function": {"name": ...}}
std::string named_function(const json::object& object, const std::string& path) {
  const Members members(object, path);
  if (members.string("type") != "function") refuse(members.path_of("type"), "must be function");
  return required_string(Members(required_object(members, "function"), members.path_of("function")),
                         "name");
}

void parse_allowed_tools(const json::object& choice, const json::array& tools,
                         ChatRequest& request) {
  const Members members(required_object(Members(choice, "tool_choice"), "allowed_tools"),
                        "tool_choice.allowed_tools");
  const auto mode = members.string("mode").value_or("auto");
  if (mode != "auto" && mode != "required")
    refuse(members.path_of("mode"), "must be auto or required");
  const json::array* list = members.array("tools");
  if (!list || list->empty()) refuse(members.path_of("tools"), "must be an array, not empty");
  std::vector<std::string> names;
  for (std::size_t i = 0; i < list->size(); ++i) {
    const std::string path = members.path_of("tools") + "." + std::to_string(i);
    if (!(*list)[i].is_object()) refuse(path, "must be an object");
    names.push_back(named_function((*list)[i].as_object(), path));
    check_offered(tools, names.back(), path);
  }
  const auto kind = mode == "required" ? ToolWish::Kind::required : ToolWish::Kind::automatic;
  apply({kind, std::move(names)}, members.path_of("tools"), request);
}

void parse_choice(const json::value& choice, const json::array& tools, ChatRequest& request) {
  if (choice == "auto") return;
  if (choice == "none") return apply({ToolWish::Kind::none}, "tool_choice", request);
  const bool by_object = choice.is_object();
  if (!by_object && choice != "required")
    refuse("tool_choice", "must be \"none\", \"auto\", \"required\" or an object that names tools");
  if (tools.empty()) refuse("tool_choice", "needs 'tools' to choose from");
  if (!by_object) {
    apply({ToolWish::Kind::required}, "tool_choice", request);
  } else if (Members(choice.as_object(), "tool_choice").string("type") == "allowed_tools") {
    parse_allowed_tools(choice.as_object(), tools, request);
  } else {
    apply({ToolWish::Kind::required, {named_function(choice.as_object(), "tool_choice")}},
          "tool_choice.function.name", request);
  }
}

}  // namespace

void parse_tool_fields(const Members& body, ChatCall& call) {
  ChatRequest& request = call.request;
  const json::array none;
  const json::array* list = body.array("tools");
  const json::array& tools = list ? *list : none;
  request.tools_json = parse_tools(tools);
  request.tool_choice.strict = std::any_of(tools.begin(), tools.end(), is_strict);
  for (std::size_t i = 0; i < tools.size(); ++i)
    call.tool_fields.emplace(name_of(tools[i]), at("tools", i) + ".function.parameters");
  if (const json::value* choice = body.find("tool_choice")) parse_choice(*choice, tools, request);
  request.parallel_tool_calls = body.boolean("parallel_tool_calls").value_or(true);
}

}  // namespace pippin::server
