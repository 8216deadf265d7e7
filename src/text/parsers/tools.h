// What a request's tools say of their arguments.
#pragma once

#include <map>
#include <span>
#include <string>
#include <string_view>

#include "base/json.h"

namespace pippin::text {

/// The JSON types that a value may have.
struct ValueTypes {
  bool string = false, number = false, boolean = false, null = false, object = false, array = false;

  bool operator==(const ValueTypes&) const = default;
  /// The schema says nothing of them.
  bool unknown() const { return *this == ValueTypes(); }
  bool only_string() const { return *this == ValueTypes{.string = true}; }
  bool allow(const json::value& value) const;
};

/// The tools of a request. Immutable.
class Tools {
 public:
  /// `tools_json` as in ChatRequest; empty for none. What is not shaped as a tool is left out.
  explicit Tools(std::string_view tools_json);

  bool empty() const { return parameters_.empty(); }
  bool has(std::string_view name) const { return parameters_.contains(name); }
  /// Whether some tool's name begins so.
  bool any_begins(std::string_view name) const;
  /// The types of a tool's argument; unknown for a tool or argument that isn't there.
  ValueTypes types_of(std::string_view tool, std::string_view argument) const;
  /// The same of a value within an argument: `path` is the argument's name, then names of members; any name will do for an item.
  ValueTypes types_of(std::string_view tool, std::span<const std::string> path) const;

 private:
  std::map<std::string, json::object, std::less<>> parameters_;  ///< schemas by tool name
};

/// A value written as bare text, as JSON text: what is JSON (or Python) of an allowed type stays that, anything else is a
/// string.
std::string json_of(std::string_view text, const ValueTypes& types);

}  // namespace pippin::text
