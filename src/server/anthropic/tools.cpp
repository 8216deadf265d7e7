#include "server/anthropic/tools.h"

#include <cstddef>
#include <utility>

#include "server/chat/messages.h"
#include "server/schema/request_json.h"
#include "server/schema/utf8.h"

namespace pippin::server {
namespace {

json::object converted_tool(const json::value& value, const std::string& path) {
  const Members tool(object_at(value, path), path);
  const std::string type = tool.string("type").value_or("custom");
  if (type != "custom")
    refuse(tool.path_of("type"),
           "must be custom here (tools of other types are not supported), got '" + excerpt(type) +
               "'");
  pass_over(tool, {"cache_control", "allowed_callers", "input_examples", "eager_input_streaming"});
  json::object function{{"name", required_string(tool, "name")}};
  if (function.at("name").as_string().empty()) refuse(tool.path_of("name"), "must not be empty");
  if (auto description = tool.string("description")) function["description"] = *description;
  function["parameters"] = parameters_or_none(&required_object(tool, "input_schema"));
  if (tool.boolean("strict").value_or(false)) function["strict"] = true;
  return {{"type", "function"}, {"function", std::move(function)}};
}

}  // namespace

AnthropicTools parse_anthropic_tools(const json::array& tools) {
  AnthropicTools parsed;
  json::array all, shown;
  for (std::size_t i = 0; i < tools.size(); ++i) {
    all.push_back(converted_tool(tools[i], at("tools", i)));
    const Members tool(tools[i].as_object(), at("tools", i));
    if (tool.boolean("defer_loading").value_or(false))
      parsed.later[required_string(tool, "name")] = json::serialize(all.back());
    else
      shown.push_back(all.back());
  }
  if (!all.empty()) parsed.json = json::serialize(all);
  if (!parsed.later.empty()) parsed.template_json = shown.empty() ? "" : json::serialize(shown);
  return parsed;
}

}  // namespace pippin::server
