// Small helpers with which requests are read: every error names the path of the field to blame.
#pragma once

#include <cstddef>
#include <initializer_list>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"

namespace pippin::server {

/// Throws Error(invalid_argument): "'<field>' <why>".
[[noreturn]] void refuse(const std::string& field, const std::string& why);

/// "<path>.<index>"
std::string at(const std::string& path, std::size_t index);

/// A request's body, which must be a JSON object; errors name the field "body".
json::object parse_body(std::string_view body);

const json::object& object_at(const json::value& value, const std::string& path);
std::string required_string(const Members& members, std::string_view key);

/// Throws where the number is outside; so is NaN.
float number_in(const Members& body, std::string_view key, double low, double high,
                double fallback);

/// Adds "<path>.<name>" to `ignored` for each member whose name is not known.
void note_unknown(const json::object& object, const std::string& path,
                  std::initializer_list<std::string_view> known, std::vector<std::string>& ignored);

/// vLLM's "cache_salt", in every API; empty where it is absent.
std::string parse_cache_salt(const Members& body);

}  // namespace pippin::server
