#include "text/parsers/argument_pieces.h"

#include <algorithm>
#include <string>

#include "pippin/error.h"

namespace pippin::text {
namespace {

// How a value is written.
enum class Form { text, json, unknown };

bool is_annotation(std::string_view keyword) {
  constexpr std::string_view known[] = {"title",      "description", "default",  "examples",
                                        "deprecated", "readOnly",    "writeOnly"};
  return std::find(std::begin(known), std::end(known), keyword) != std::end(known);
}

bool has_type(const json::value& type, std::string_view name) {
  if (type.is_string()) return std::string_view(type.as_string()) == name;
  const auto* list = type.if_array();
  return list && std::any_of(list->begin(), list->end(), [&](const json::value& one) {
           return one.is_string() && std::string_view(one.as_string()) == name;
         });
}

// It names types at most.
bool is_unbounded(const json::value& schema) {
  const auto* object = schema.if_object();
  return !object || std::all_of(object->begin(), object->end(), [](const auto& member) {
    return member.key() == "type" || is_annotation(member.key());
  });
}

Form form_of(const json::value& schema);

// Options without bounds, of which one is a text: whatever is written, one of them is met.
Form form_of_options(const json::array& options) {
  const auto all = [&](const auto& test) {
    return std::all_of(options.begin(), options.end(), test);
  };
  if (all([](const json::value& one) { return form_of(one) == Form::json; })) return Form::json;
  return all(is_unbounded) ? Form::text : Form::unknown;
}

Form form_of(const json::value& schema) {
  if (is_unbounded(schema)) {
    const auto* type = schema.is_object() ? schema.as_object().if_contains("type") : nullptr;
    return !type || has_type(*type, "string") ? Form::text : Form::json;
  }
  const auto& object = schema.as_object();
  if (const auto* type = object.if_contains("type"))
    return has_type(*type, "string") ? Form::unknown : Form::json;
  for (const char* keyword : {"anyOf", "oneOf"})
    if (const auto* options = object.if_contains(keyword); options && options->is_array())
      return form_of_options(options->as_array());
  const bool is_container = object.contains("properties") || object.contains("items");
  return is_container ? Form::json : Form::unknown;
}

// All values are texts.
const json::array* text_enum(const json::value& schema) {
  const auto* object = schema.if_object();
  const auto* values = object ? object->if_contains("enum") : nullptr;
  const auto* list = values ? values->if_array() : nullptr;
  const bool texts = list && std::all_of(list->begin(), list->end(), [](const json::value& value) {
                       return value.is_string();
                     });
  const bool alone =
      texts && std::all_of(object->begin(), object->end(), [](const auto& member) {
        return member.key() == "type" || member.key() == "enum" || is_annotation(member.key());
      });
  return alone ? list : nullptr;
}

std::string key_text(std::string_view layout, const std::string& name) {
  const auto plain = [](unsigned char c) { return c > ' ' && c != '"' && c != '<' && c != '>'; };
  if (name.empty() || !std::all_of(name.begin(), name.end(), plain))
    throw Error(Code::invalid_argument, "the argument's name '" + name + "' can't be forced",
                "tools");
  std::string text(layout);
  return text.replace(text.find("KEY"), 3, name);
}

// A property's schema may refer to what stands beside all properties.
json::value with_definitions(json::value schema, const json::object& parameters) {
  for (const char* name : {"$defs", "definitions"})
    if (const auto* definitions = parameters.if_contains(name); definitions && schema.is_object())
      schema.as_object()[name] = *definitions;
  return schema;
}

void add_value(json::array& pieces, const std::string& name, const json::value& schema,
               const json::object& parameters, std::string_view end) {
  if (const auto* texts = text_enum(schema)) {
    pieces.push_back(json::object{{"either", *texts}});
    pieces.emplace_back(end);
    return;
  }
  switch (form_of(schema)) {
    case Form::text:
      pieces.push_back(json::object{{"until", end}});
      return;
    case Form::json:
      pieces.push_back(json::object{{"schema", with_definitions(schema, parameters)}});
      pieces.emplace_back(end);
      return;
    case Form::unknown:
      throw Error(Code::invalid_argument,
                  "the schema of the argument '" + name +
                      "' can't be kept to in this model's format of calls, which writes texts "
                      "without quotes: of those only an enum may be asked for",
                  "tools");
  }
}

bool is_required(const json::object& parameters, std::string_view name) {
  const auto* required = parameters.if_contains("required");
  const auto* list = required ? required->if_array() : nullptr;
  return list && std::any_of(list->begin(), list->end(), [&](const json::value& one) {
           return one.is_string() && std::string_view(one.as_string()) == name;
         });
}

template <class AddValue>
json::array pieces_of_each(const json::object& parameters, const ArgumentLayout& layout,
                           const AddValue& add_value_of) {
  json::array all;
  const auto* properties = parameters.if_contains("properties");
  if (!properties || !properties->is_object()) return all;
  for (const auto& [key, schema] : properties->as_object()) {
    const std::string name(key);
    json::array pieces{key_text(layout.key, name)};
    if (add_value_of(pieces, name, schema))
      all.insert(all.end(), pieces.begin(), pieces.end());
    else
      all.push_back(json::object{{"maybe", std::move(pieces)}});
  }
  return all;
}

}  // namespace

json::array argument_pieces(const json::object& parameters, const ArgumentLayout& layout) {
  return pieces_of_each(
      parameters, layout,
      [&](json::array& pieces, const std::string& name, const json::value& schema) {
        add_value(pieces, name, schema, parameters, layout.value_end);
        return is_required(parameters, name);
      });
}

json::array free_argument_pieces(const json::object& parameters, const ArgumentLayout& layout) {
  return pieces_of_each(parameters, layout,
                        [&](json::array& pieces, const std::string&, const json::value&) {
                          pieces.push_back(json::object{{"until", layout.value_end}});
                          return false;
                        });
}

}  // namespace pippin::text
