// Small helpers over Boost.JSON: parsing with our errors, and typed members whose errors name the
// path.
#pragma once

#include <boost/json.hpp>

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

namespace pippin {

namespace json = boost::json;

/// Parses UTF-8 JSON. Throws Error(invalid_argument) naming `what` and the byte where parsing
/// stopped.
json::value parse_json(std::string_view text, std::string_view what);

/// Parses a file's text, whose top level is an object. Python's Infinity is read as 1e308, its NaN as null. `what`: the file's name.
json::object parse_json_object(const std::string& text, const std::string& what);

/// Reads a file and parses it so.
json::object read_json_object(const std::filesystem::path& file);

/// Typed view of an object's member; an absent or null member gives nullopt, another type throws
/// Error(invalid_argument) with field "<path>.<key>" (or "<key>" where path is empty). A MemberLog of the same thread notes
/// what is looked at.
class Members {
 public:
  explicit Members(const json::object& object, std::string path = "")
      : object_(object), path_(std::move(path)) {}

  std::optional<bool> boolean(std::string_view key) const;
  /// Accepts integers, and floats with an integral value.
  std::optional<std::int64_t> integer(std::string_view key) const;
  std::optional<double> number(std::string_view key) const;
  std::optional<std::string> string(std::string_view key) const;
  const json::object* object(std::string_view key) const;
  const json::array* array(std::string_view key) const;
  /// The member whatever its type; nullptr where absent or null.
  const json::value* find(std::string_view key) const;
  /// Whether the key is there, with null, too.
  bool has(std::string_view key) const;

  std::int64_t integer_or(std::string_view key, std::int64_t fallback) const {
    return integer(key).value_or(fallback);
  }
  double number_or(std::string_view key, double fallback) const {
    return number(key).value_or(fallback);
  }
  /// Throws Error(invalid_argument) naming the key where the member is absent.
  std::int64_t required_integer(std::string_view key) const;

  std::string path_of(std::string_view key) const;

 private:
  const json::object& object_;
  std::string path_;
};

}  // namespace pippin
