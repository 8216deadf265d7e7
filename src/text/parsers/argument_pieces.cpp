#include "text/parsers/argument_pieces.h"

#include <string>
#include <utility>

namespace pippin::text {
namespace {

json::array names_of(const ValueTypes& types) {
  json::array names;
  for (const auto& [name, allowed] : {std::pair{"string", types.string},
                                      {"number", types.number},
                                      {"boolean", types.boolean},
                                      {"null", types.null},
                                      {"object", types.object},
                                      {"array", types.array}})
    if (allowed) names.emplace_back(name);
  return names;
}

const json::object* properties_of(const json::object& parameters) {
  const auto* properties = parameters.if_contains("properties");
  return properties ? properties->if_object() : nullptr;
}

json::object types_of(const json::object& parameters, const Tools& tools, std::string_view tool) {
  json::object types;
  if (const auto* properties = properties_of(parameters))
    for (const auto& [name, schema] : *properties)
      types[name] = names_of(tools.types_of(tool, std::string_view(name)));
  return types;
}

json::object piece(const ArgumentLayout& layout, json::object parameters, json::object types) {
  return {{"arguments", std::move(parameters)},
          {"notation", layout.notation},
          {"key", layout.key},
          {"end", layout.end},
          {"closing", layout.closing},
          {"quote", layout.quote},
          {"kinds", layout.kinds.empty() ? json::value() : parse_json(layout.kinds, "kinds")},
          {"types", std::move(types)}};
}

}  // namespace

json::object argument_piece(const ArgumentLayout& layout, const json::object& parameters,
                            const Tools& tools, std::string_view tool) {
  return piece(layout, parameters, types_of(parameters, tools, tool));
}

json::object free_argument_piece(const ArgumentLayout& layout, const json::object& parameters,
                                 const Tools& tools, std::string_view tool) {
  json::object free;
  if (const auto* properties = properties_of(parameters))
    for (const auto& [name, schema] : *properties) free[name] = json::object();
  return piece(layout, {{"type", "object"}, {"properties", std::move(free)}},
               types_of(parameters, tools, tool));
}

}  // namespace pippin::text
