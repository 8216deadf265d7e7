#include "server/schema/field_table.h"

#include <algorithm>

#include "pippin/error.h"
#include "server/schema/request_json.h"
#include "server/schema/utf8.h"

namespace pippin::server {

std::vector<std::string> check_fields(const json::object& body, std::span<const Field> table) {
  std::vector<std::string> unknown;
  for (const auto& [key, value] : body) {
    const std::string name(key);
    const auto field = std::find_if(table.begin(), table.end(),
                                    [&](const Field& candidate) { return candidate.name == name; });
    if (field == table.end())
      unknown.push_back(name);
    else if (!value.is_null() && !field->allowed(value))
      throw Error(
          Code::invalid_argument,
          "'" + name + "' must be " + std::string(field->allowed_text) +
              " here (other values are not supported), got " +
              excerpt(value.is_double() ? plain(value.as_double()) : json::serialize(value)),
          name);
  }
  return unknown;
}

}  // namespace pippin::server
