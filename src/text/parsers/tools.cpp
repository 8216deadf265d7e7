#include "text/parsers/tools.h"

#include <optional>

#include "pippin/error.h"
#include "text/parsers/input.h"
#include "text/parsers/literals.h"

namespace pippin::text {
namespace {

// References may go in circles.
constexpr int max_schema_depth = 16;

void allow_name(const json::value& type, ValueTypes& types) {
  types.string |= type == "string";
  types.number |= type == "number" || type == "integer";
  types.boolean |= type == "boolean";
  types.null |= type == "null";
  types.object |= type == "object";
  types.array |= type == "array";
}

void allow_type_of(const json::value& value, ValueTypes& types) {
  types.string |= value.is_string();
  types.number |= value.is_number();
  types.boolean |= value.is_bool();
  types.null |= value.is_null();
  types.object |= value.is_object();
  types.array |= value.is_array();
}

const json::object* object_in(const json::object& object, std::string_view key) {
  const auto* member = object.if_contains(key);
  return member ? member->if_object() : nullptr;
}

// "#/$defs/Name" within `root`; null where it leads nowhere.
const json::object* resolve(std::string_view reference, const json::object& root) {
  const json::object* at = &root;
  if (!reference.starts_with("#/")) return nullptr;
  for (auto rest = reference.substr(2); at;) {
    const auto slash = rest.find('/');
    at = object_in(*at, rest.substr(0, slash));
    if (slash == std::string_view::npos) break;
    rest.remove_prefix(slash + 1);
  }
  return at;
}

void collect(const json::object& schema, const json::object& root, int depth, ValueTypes& types) {
  if (depth > max_schema_depth) return;
  if (const auto* reference = schema.if_contains("$ref"); reference && reference->is_string())
    if (const auto* target = resolve(reference->get_string(), root))
      collect(*target, root, depth + 1, types);
  if (const auto* type = schema.if_contains("type")) {
    if (const auto* list = type->if_array())
      for (const auto& one : *list) allow_name(one, types);
    else
      allow_name(*type, types);
  } else if (const auto* values = schema.if_contains("enum"); values && values->is_array()) {
    for (const auto& value : values->get_array()) allow_type_of(value, types);
  } else if (const auto* value = schema.if_contains("const")) {
    allow_type_of(*value, types);
  }
  if (const auto* nullable = schema.if_contains("nullable"); nullable && *nullable == true)
    types.null = true;
  for (const auto* key : {"anyOf", "oneOf", "allOf"})
    if (const auto* list = schema.if_contains(key); list && list->is_array())
      for (const auto& one : list->get_array())
        if (const auto* inner = one.if_object()) collect(*inner, root, depth + 1, types);
}

std::optional<json::value> parsed(std::string_view text) {
  try {
    return parse_json(text, "value");
  } catch (const Error&) {
    return std::nullopt;
  }
}

}  // namespace

bool ValueTypes::allow(const json::value& value) const {
  ValueTypes its;
  allow_type_of(value, its);
  return unknown() || (its.string && string) || (its.number && number) ||
         (its.boolean && boolean) || (its.null && null) || (its.object && object) ||
         (its.array && array);
}

Tools::Tools(std::string_view tools_json) {
  const auto list = tools_json.empty() ? std::nullopt : parsed(tools_json);
  if (!list || !list->is_array()) return;
  for (const auto& value : list->get_array()) {
    const auto* tool = value.if_object();
    if (!tool) continue;
    const auto* function = object_in(*tool, "function");
    if (!function) function = tool;  // as some clients and templates have it
    const auto* name = function->if_contains("name");
    const auto* parameters = object_in(*function, "parameters");
    if (name && name->is_string())
      parameters_[std::string(name->get_string())] = parameters ? *parameters : json::object();
  }
}

bool Tools::any_begins(std::string_view name) const {
  const auto next = parameters_.lower_bound(name);
  return next != parameters_.end() && next->first.starts_with(name);
}

ValueTypes Tools::types_of(std::string_view tool, std::string_view argument) const {
  ValueTypes types;
  const auto found = parameters_.find(tool);
  if (found == parameters_.end()) return types;
  const auto* properties = object_in(found->second, "properties");
  const auto* schema = properties ? object_in(*properties, argument) : nullptr;
  if (schema) collect(*schema, found->second, 0, types);
  return types;
}

std::string json_of(std::string_view text, const ValueTypes& types) {
  const auto bare = trimmed(text);
  if (!types.only_string()) {
    // A string in quotes is a string with quotes, unless nothing is known of it.
    if (const auto value = parsed(bare);
        value && types.allow(*value) && !(value->is_string() && types.string))
      return std::string(bare);
    if (const auto literal = literal_to_json(bare))
      if (const auto value = parsed(*literal); value && !value->is_string() && types.allow(*value))
        return *literal;
  }
  return json::serialize(json::string(text));
}

}  // namespace pippin::text
