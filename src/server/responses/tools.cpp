#include "server/responses/tools.h"

#include <cstddef>
#include <functional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "server/chat/messages.h"
#include "server/chat/tool_wish.h"
#include "server/schema/request_json.h"
#include "server/schema/utf8.h"

namespace pippin::server {
namespace {

// The function as templates get it.
json::object converted_function(const Members& tool) {
  pass_over(tool, {"type", "defer_loading", "allowed_callers", "output_schema"});
  if (tool.boolean("async").value_or(false))
    refuse(tool.path_of("async"), "must be false (calls beside the answer are not supported)");
  json::object function{{"name", required_string(tool, "name")}};
  if (function.at("name").as_string().empty()) refuse(tool.path_of("name"), "must not be empty");
  if (auto description = tool.string("description")) function["description"] = *description;
  function["parameters"] = parameters_or_none(tool.object("parameters"));
  if (tool.boolean("strict").value_or(false)) function["strict"] = true;
  return function;
}

// What agents offer unasked beside their own functions, and do without: tools that OpenAI's servers run or only its models know.
bool is_left_out(std::string_view type) {
  return type.starts_with("web_search") || type == "custom" || type == "local_shell" ||
         type == "image_generation";
}

void refuse_type(const Members& tool, const std::string& type, std::string_view supported) {
  refuse(tool.path_of("type"), "must be " + std::string(supported) +
                                   " (tools of other types are not supported), got '" +
                                   excerpt(type) + "'");
}

// The tools as templates get them.
class ToolReader {
 public:
  explicit ToolReader(ChatCall& call) : call_(call) {}

  void read(const json::value& value, const std::string& path);
  /// After the last tool.
  void tell_left_out();

  json::array shown;
  Namespaces namespaces;

 private:
  void read_namespace(const Members& space);
  void add(json::object function, const std::string& path);

  ChatCall& call_;
  std::set<std::string, std::less<>> names_;
  std::vector<std::string> left_out_;  // their paths
};

void ToolReader::read(const json::value& value, const std::string& path) {
  const json::object& object = object_at(value, path);
  const Members tool(object, path);
  const std::string type = required_string(tool, "type");
  if (type == "function") {
    add(converted_function(tool), path);
  } else if (type == "namespace") {
    read_namespace(tool);
  } else if (is_left_out(type)) {
    left_out_.push_back(path);
    for (const auto& member : object) pass_over(tool, {std::string_view(member.key())});
  } else {
    refuse_type(tool, type, "function or namespace");
  }
}

void ToolReader::tell_left_out() {
  if (shown.empty() && !left_out_.empty())
    refuse(left_out_.front() + ".type",
           "must be function or namespace, as no other tool is offered");
  call_.ignored.insert(call_.ignored.end(), left_out_.begin(), left_out_.end());
}

void ToolReader::read_namespace(const Members& space) {
  const std::string space_name = required_string(space, "name");
  std::string description = space.string("description").value_or("");
  const json::array& tools = required_array(space, "tools");
  for (std::size_t i = 0; i < tools.size(); ++i) {
    const std::string where = at(space.path_of("tools"), i);
    const Members tool(object_at(tools[i], where), where);
    if (const std::string type = required_string(tool, "type"); type != "function")
      refuse_type(tool, type, "function");
    json::object function = converted_function(tool);
    const std::string name(function.at("name").as_string());
    const std::string full = qualified_name(space_name, name);
    namespaces[full] = {space_name, name};
    function["name"] = full;
    if (!description.empty()) {
      if (auto own = tool.string("description")) description += "\n\n" + *own;
      function["description"] = std::exchange(description, {});
    }
    add(std::move(function), where);
  }
}

void ToolReader::add(json::object function, const std::string& path) {
  const std::string name(function.at("name").as_string());
  if (!names_.insert(name).second)
    refuse(path + ".name", "is another tool's ('" + excerpt(name) + "'), too");
  if (function.contains("strict")) call_.request.tool_choice.strict = true;
  call_.tool_fields.emplace(name, path + ".parameters");
  shown.push_back(json::object{{"type", "function"}, {"function", std::move(function)}});
}

json::object repeated_tool(const json::value& value) {
  json::object tool = value.as_object();
  if (tool.at("type") != "function") return tool;
  if (!tool.contains("parameters")) tool["parameters"] = nullptr;
  if (!tool.contains("strict")) tool["strict"] = false;
  return tool;
}

// {"type": "function", "name": ..., "namespace": ...}
std::string function_name(const Members& choice) {
  const std::string type = required_string(choice, "type");
  if (type != "function")
    refuse(choice.path_of("type"),
           "must be function (others are not supported), got '" + excerpt(type) + "'");
  return qualified_name(choice.string("namespace").value_or(""), required_string(choice, "name"));
}

// {"type": "allowed_tools", "mode": "auto" | "required", "tools": [{"type": "function", "name": ...}, ...]}
ToolWish parse_allowed(const Members& choice) {
  const std::string mode = choice.string("mode").value_or("auto");
  if (mode != "auto" && mode != "required")
    refuse(choice.path_of("mode"), "must be auto or required, got '" + excerpt(mode) + "'");
  ToolWish wish{mode == "auto" ? ToolWish::Kind::automatic : ToolWish::Kind::required};
  const json::array* tools = choice.array("tools");
  if (!tools || tools->empty()) refuse(choice.path_of("tools"), "must be an array, not empty");
  for (std::size_t i = 0; i < tools->size(); ++i) {
    const std::string path = at(choice.path_of("tools"), i);
    const Members tool(object_at((*tools)[i], path), path);
    if (is_left_out(required_string(tool, "type")))
      pass_over(tool, {"name"});
    else
      wish.names.push_back(function_name(tool));
  }
  if (wish.names.empty()) refuse(choice.path_of("tools"), "must name a function");
  return wish;
}

ToolWish parse_choice(const json::value& choice) {
  if (choice == "auto") return {};
  if (choice == "none") return {ToolWish::Kind::none};
  if (choice == "required") return {ToolWish::Kind::required};
  if (!choice.is_object())
    refuse("tool_choice",
           "must be auto, none, required, {\"type\": \"function\", \"name\": ...} or "
           "{\"type\": \"allowed_tools\", ...}");
  const Members members(choice.as_object(), "tool_choice");
  if (members.string("type") == "allowed_tools") return parse_allowed(members);
  return {ToolWish::Kind::required, {function_name(members)}};
}

}  // namespace

std::string qualified_name(std::string_view space, std::string_view name) {
  std::string full(space);
  if (!space.empty() && !space.ends_with("__")) full += "__";
  return full.append(name);
}

ResponsesTools parse_responses_tools(const Members& body, ChatCall& call) {
  ToolReader reader(call);
  json::array repeated;
  const json::array* tools = body.array("tools");
  for (std::size_t i = 0; tools && i < tools->size(); ++i) {
    reader.read((*tools)[i], at("tools", i));
    if (!is_left_out(tools->at(i).at("type").as_string()))
      repeated.push_back(repeated_tool((*tools)[i]));
  }
  reader.tell_left_out();
  if (!reader.shown.empty()) call.request.tools_json = json::serialize(reader.shown);
  if (const json::value* choice = body.find("tool_choice"))
    apply(parse_choice(*choice), "tool_choice", call.request);
  call.request.parallel_tool_calls = body.boolean("parallel_tool_calls").value_or(true);
  return {std::move(repeated), std::move(reader.namespaces)};
}

}  // namespace pippin::server
