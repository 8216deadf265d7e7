// Small helpers with which requests are read: every error names the path of the field to blame.
#pragma once

#include <cstddef>
#include <initializer_list>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/json.h"
#include "base/member_log.h"

namespace pippin::server {

/// Throws Error(invalid_argument): "'<field>' <why>".
[[noreturn]] void refuse(const std::string& field, const std::string& why);

/// "<path>.<index>"
std::string at(const std::string& path, std::size_t index);

/// A number as a person writes it: "2", "0.001".
std::string plain(double number);

/// A request's body while its parser reads it, all on one thread: a JSON object, of which it knows what the parser has looked at,
/// and the digits of numbers that are beyond a double. Neither copied nor moved: it names values by their place.
class RequestBody {
 public:
  /// Throws Error(invalid_argument) naming the field "body".
  explicit RequestBody(std::string_view text);
  RequestBody(const RequestBody&) = delete;
  RequestBody& operator=(const RequestBody&) = delete;

  const json::object& object() const { return object_; }
  /// Adds the paths of members below the top level that the parser passes over: it has looked into their object, but not at them.
  void add_unread(std::vector<std::string>& ignored) const;
  /// The JSON text of a value within the body, every number with all its digits.
  std::string text_of(const json::value& value) const;

 private:
  void note_digits(json::value& value, std::string_view mark);
  void write(const json::value& value, std::string& out) const;

  json::object object_;
  std::unordered_map<const json::value*, std::string> digits_;  // where a double does not hold them
  MemberLog log_;
};

const json::object& object_at(const json::value& value, const std::string& path);
std::string required_string(const Members& members, std::string_view key);

/// Throws as refuse: the key "is missing", or "must not be null" where it is there.
[[noreturn]] void refuse_absent(const Members& members, std::string_view key);
/// Throws so where the member is absent.
const json::value& required(const Members& members, std::string_view key);
const json::object& required_object(const Members& members, std::string_view key);
const json::array& required_array(const Members& members, std::string_view key);

/// Throws where the number is outside; so is NaN.
float number_in(const Members& body, std::string_view key, double low, double high,
                double fallback);

/// Has members that have no influence pass for looked at.
void pass_over(const Members& members, std::initializer_list<std::string_view> keys);

/// vLLM's "cache_salt", in every API; empty where it is absent.
std::string parse_cache_salt(const Members& body);

}  // namespace pippin::server
