// Tables of the fields that a request may carry, and what becomes of each: nothing is dropped in silence.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"

namespace pippin::server {

/// A field at the top level of a request.
struct Field {
  using Test = bool (*)(const json::value&);

  std::string_view name;
  Test allowed;
  /// Which values are allowed, for the message; empty for any.
  std::string_view allowed_text;
};

/// A field whose value passes its test is allowed; where it does not, Error(invalid_argument) names it. Returns the names
/// that are in no row; a null member counts as absent.
std::vector<std::string> check_fields(const json::object& body, std::span<const Field> table);

/// Which values a field may have.
namespace field_tests {

inline bool any(const json::value&) { return true; }
inline bool never(const json::value&) { return false; }
inline bool is_string(const json::value& value) { return value.is_string(); }
inline bool is_object(const json::value& value) { return value.is_object(); }
inline bool is_bool(const json::value& value) { return value.is_bool(); }
inline bool is_number(const json::value& value) { return value.is_number(); }
inline bool is_true(const json::value& value) { return value.is_bool() && value.as_bool(); }
inline bool is_false(const json::value& value) { return value.is_bool() && !value.as_bool(); }
inline bool equals(const json::value& value, double number) {
  return value.is_number() && value.to_number<double>() == number;
}
inline bool is_zero(const json::value& value) { return equals(value, 0); }
inline bool is_one(const json::value& value) { return equals(value, 1); }
inline bool is_zero_or_false(const json::value& value) { return is_zero(value) || is_false(value); }
inline bool is_empty(const json::value& value) {
  return (value.is_object() && value.as_object().empty()) ||
         (value.is_array() && value.as_array().empty());
}
inline bool is_text_format(const json::value& value) {
  return value == json::value{{"type", "text"}};
}
inline bool is_text_only(const json::value& value) { return value == json::array{"text"}; }
inline bool is_medium(const json::value& value) { return value == "medium"; }
inline bool is_auto_or_none(const json::value& value) { return value == "auto" || value == "none"; }

}  // namespace field_tests

}  // namespace pippin::server
