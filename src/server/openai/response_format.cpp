#include "server/openai/response_format.h"

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "server/schema/request_json.h"

namespace pippin::server {
namespace {

using Kind = ResponseFormat::Kind;

// As an object, or as its text.
std::string schema_text(const json::value& value, const std::string& field) {
  if (value.is_object()) return json::serialize(value);
  if (!value.is_string()) refuse(field, "must be a JSON schema");
  const std::string text(value.as_string());
  if (!parse_json(text, "'" + field + "'").is_object()) refuse(field, "must be a JSON schema");
  return text;
}

std::string string_of(const json::value& value, const std::string& field) {
  if (!value.is_string() || value.as_string().empty()) refuse(field, "must be a string, not empty");
  return std::string(value.as_string());
}

std::string choice_text(const json::value& value, const std::string& field) {
  const bool is_list = value.is_array() && !value.as_array().empty();
  const auto is_text = [](const json::value& item) {
    return item.is_string() && !item.as_string().empty();
  };
  if (!is_list || !std::all_of(value.as_array().begin(), value.as_array().end(), is_text))
    refuse(field, "must be an array of strings, none of them empty");
  return json::serialize(value);
}

ResponseFormat of_schema(const Members& members) {
  return {Kind::json_schema, json::serialize(required_object(members, "schema")),
          members.path_of("schema")};
}

// {"type": "json_schema", "json_schema": {"name", "schema", "strict"}}, or llama.cpp's {"type": "json_schema", "schema"}.
ResponseFormat parse_schema(const Members& format) {
  const json::object* described = format.object("json_schema");
  const bool is_llama_cpps = format.find("schema");
  if (described && is_llama_cpps)
    refuse(format.path_of("schema"),
           "and '" + format.path_of("json_schema") + "' exclude each other");
  if (is_llama_cpps) {
    pass_over(format, {"name", "strict"});
    return of_schema(format);
  }
  if (!described) refuse_absent(format, "json_schema");
  const Members schema(*described, format.path_of("json_schema"));
  schema.string("name");
  schema.string("description");
  schema.boolean("strict");
  return of_schema(schema);
}

ResponseFormat parse_openai(const json::object& object) {
  const Members format(object, "response_format");
  const std::string type = required_string(format, "type");
  if (type == "text") return {};
  // llama.cpp's clients say here of what schema the object is.
  if (type == "json_object")
    return format.find("schema") ? of_schema(format) : ResponseFormat{Kind::json_object};
  if (type != "json_schema")
    refuse(format.path_of("type"), "must be text, json_object or json_schema");
  return parse_schema(format);
}

// One of vLLM's kinds, by its name there.
ResponseFormat parse_kind(std::string_view kind, const json::value& value, std::string field) {
  ResponseFormat format;
  if (kind == "json") format = {Kind::json_schema, schema_text(value, field)};
  if (kind == "regex") format = {Kind::regex, string_of(value, field)};
  if (kind == "choice") format = {Kind::choice, choice_text(value, field)};
  if (kind == "grammar") format = {Kind::grammar, string_of(value, field)};
  if (kind == "json_object") {
    if (!value.is_bool()) refuse(field, "must be a boolean");
    if (value.as_bool()) format = {Kind::json_object};
  }
  format.field = std::move(field);
  return format;
}

constexpr std::string_view kinds[] = {"json", "regex", "choice", "grammar"};

void add_structured_outputs(const json::object& object, std::vector<ResponseFormat>& formats) {
  for (const auto& [key, value] : object) {
    const std::string name(key), field = "structured_outputs." + name;
    if (value.is_null()) continue;
    const bool known = std::find(std::begin(kinds), std::end(kinds), name) != std::end(kinds);
    if (!known && name != "json_object")
      refuse(field, "is not supported (json, regex, choice, grammar and json_object are)");
    formats.push_back(parse_kind(name, value, field));
  }
}

}  // namespace

ResponseFormat parse_response_format(const Members& body) {
  std::vector<ResponseFormat> formats;
  if (const json::object* format = body.object("response_format"))
    formats.push_back(parse_openai(*format));
  if (const json::object* structured = body.object("structured_outputs"))
    add_structured_outputs(*structured, formats);
  for (const auto kind : kinds) {
    const auto field = "guided_" + std::string(kind);
    if (const json::value* value = body.find(field))
      formats.push_back(parse_kind(kind, *value, field));
  }
  // llama.cpp's names, whose empty values say nothing.
  for (const auto& [field, kind] : {std::pair{"grammar", "grammar"}, {"json_schema", "json"}}) {
    const json::value* value = body.find(field);
    const bool silent = !value || *value == "" || *value == json::object();
    if (!silent) formats.push_back(parse_kind(kind, *value, field));
  }
  std::erase_if(formats, [](const ResponseFormat& format) { return format.kind == Kind::text; });
  if (formats.size() > 1)
    refuse(formats[1].field, "and '" + formats[0].field + "' exclude each other");
  return formats.empty() ? ResponseFormat{} : std::move(formats.front());
}

std::optional<std::int64_t> parse_thinking_budget(const Members& body) {
  std::optional<std::int64_t> budget;
  for (const char* key : {"thinking_budget", "thinking_token_budget"})
    if (const auto tokens = body.integer(key)) {
      if (*tokens < 0) refuse(key, "must be at least 0");
      budget = tokens;
    }
  return budget;
}

}  // namespace pippin::server
