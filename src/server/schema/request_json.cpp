#include "server/schema/request_json.h"

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <iterator>
#include <limits>
#include <utility>

#include "pippin/error.h"
#include "server/schema/utf8.h"

namespace pippin::server {
namespace {

// Whatever has so few digits and so small an exponent comes back from a double as it was.
constexpr std::size_t max_safe_digits = 15;

json::value parsed(std::string_view text) {
  try {
    return parse_json(text, "the request's body");
  } catch (const Error& error) {
    throw Error(error.code(), error.what(), "body");
  }
}

bool is_of_number(char c) {
  return (c >= '0' && c <= '9') || c == '-' || c == '+' || c == '.' || c == 'e' || c == 'E';
}

std::size_t skip_digits(std::string_view text, std::size_t at) {
  while (at < text.size() && text[at] >= '0' && text[at] <= '9') ++at;
  return at;
}

// By JSON's grammar.
bool is_number(std::string_view text) {
  std::size_t at = text.starts_with('-') ? 1 : 0;
  std::size_t end = text.substr(at).starts_with('0') ? at + 1 : skip_digits(text, at);
  if (end == at) return false;
  if (text.substr(end).starts_with('.')) {
    at = end + 1;
    end = skip_digits(text, at);
    if (end == at) return false;
  }
  if (text.find_first_of("eE", end) != end) return end == text.size();
  at = end + 1;
  if (at < text.size() && (text[at] == '+' || text[at] == '-')) ++at;
  end = skip_digits(text, at);
  return end > at && end == text.size();
}

// Beyond an integer of 64 bits, or what a double can hold to the last digit.
bool is_beyond(std::string_view number) {
  const bool has_exponent = number.find_first_of("eE") != std::string_view::npos;
  if (number.size() <= max_safe_digits && !has_exponent) return false;
  const bool is_integer = number.find_first_of(".eE") == std::string_view::npos;
  std::int64_t integer = 0;
  const char* const end = number.data() + number.size();
  return !is_integer || std::from_chars(number.data(), end, integer).ec != std::errc();
}

// Within `text`, which need not be valid: numbers are looked for outside of strings.
std::vector<std::string_view> numbers_beyond_double(std::string_view text) {
  std::vector<std::string_view> numbers;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '"') {
      for (++i; i < text.size() && text[i] != '"'; ++i)
        if (text[i] == '\\') ++i;
    } else if (text[i] == '-' || (text[i] >= '0' && text[i] <= '9')) {
      std::size_t end = i;
      while (end < text.size() && is_of_number(text[end])) ++end;
      const std::string_view number = text.substr(i, end - i);
      if (is_number(number) && is_beyond(number)) numbers.push_back(number);
      i = end - 1;
    }
  }
  return numbers;
}

// What the text does not have.
std::string mark_for(std::string_view text) {
  std::string mark = "number:";
  while (text.find(mark) != std::string_view::npos) mark = "-" + mark;
  return mark;
}

// Each number as a string that begins with the mark.
std::string marked(std::string_view text, const std::vector<std::string_view>& numbers,
                   std::string_view mark) {
  std::string out;
  const char* at = text.data();
  for (const std::string_view number : numbers) {
    out.append(at, number.data()).append("\"").append(mark).append(number).append("\"");
    at = number.data() + number.size();
  }
  return out.append(at, text.data() + text.size());
}

// The shortest digits that read back the same; 1.0 stays no integer.
std::string shortest(double number) {
  char text[32];
  std::string digits(text, std::to_chars(std::begin(text), std::end(text), number).ptr);
  return digits.find_first_of(".e") == std::string::npos ? digits + ".0" : digits;
}

json::value parsed_marked(std::string_view text, const std::vector<std::string_view>& numbers,
                          std::string_view mark) {
  try {
    return parsed(marked(text, numbers, mark));
  } catch (const Error&) {
    parsed(text);  // which says where in the text as it came
    throw;
  }
}

}  // namespace

void refuse(const std::string& field, const std::string& why) {
  throw Error(Code::invalid_argument, without_nul("'" + field + "' " + why), field);
}

std::string at(const std::string& path, std::size_t index) {
  return path + "." + std::to_string(index);
}

std::string plain(double number) {
  char text[32];
  return {text, static_cast<std::size_t>(std::snprintf(text, sizeof text, "%.10g", number))};
}

RequestBody::RequestBody(std::string_view text) {
  if (text.empty()) refuse("body", "is empty; a JSON object is needed");
  const std::vector<std::string_view> numbers = numbers_beyond_double(text);
  const std::string mark = numbers.empty() ? "" : mark_for(text);
  json::value value = numbers.empty() ? parsed(text) : parsed_marked(text, numbers, mark);
  if (!value.is_object()) refuse("body", "must be a JSON object");
  object_ = std::move(value.as_object());
  if (numbers.empty()) return;
  for (auto& member : object_) note_digits(member.value(), mark);
}

// Puts the nearest double in place of each marked number.
void RequestBody::note_digits(json::value& value, std::string_view mark) {
  if (json::array* items = value.if_array()) {
    for (json::value& item : *items) note_digits(item, mark);
  } else if (json::object* members = value.if_object()) {
    for (auto& member : *members) note_digits(member.value(), mark);
  } else if (value.is_string() && std::string_view(value.as_string()).starts_with(mark)) {
    std::string digits(std::string_view(value.as_string()).substr(mark.size()));
    if (!is_number(digits)) return;  // a string that has the mark by way of escapes
    constexpr double most = std::numeric_limits<double>::max();
    value = std::clamp(std::strtod(digits.c_str(), nullptr), -most, most);
    digits_.emplace(&value, std::move(digits));
  }
}

void RequestBody::add_unread(std::vector<std::string>& ignored) const {
  for (std::string& path : log_.unread_below(object_)) ignored.push_back(std::move(path));
}

std::string RequestBody::text_of(const json::value& value) const {
  std::string text;
  write(value, text);
  return text;
}

void RequestBody::write(const json::value& value, std::string& out) const {
  const char* separator = "";
  if (const json::array* items = value.if_array()) {
    out += '[';
    for (const json::value& item : *items) {
      out += std::exchange(separator, ",");
      write(item, out);
    }
    out += ']';
  } else if (const json::object* members = value.if_object()) {
    out += '{';
    for (const auto& [key, member] : *members) {
      out += std::exchange(separator, ",");
      out += json::serialize(key) + ":";
      write(member, out);
    }
    out += '}';
  } else if (const auto found = digits_.find(&value); found != digits_.end()) {
    out += found->second;
  } else {
    out += value.is_double() ? shortest(value.as_double()) : json::serialize(value);
  }
}

const json::object& object_at(const json::value& value, const std::string& path) {
  if (!value.is_object()) refuse(path, "must be an object");
  return value.as_object();
}

void refuse_absent(const Members& members, std::string_view key) {
  refuse(members.path_of(key), members.has(key) ? "must not be null" : "is missing");
}

std::string required_string(const Members& members, std::string_view key) {
  if (auto value = members.string(key)) return *value;
  refuse_absent(members, key);
}

const json::value& required(const Members& members, std::string_view key) {
  if (const json::value* value = members.find(key)) return *value;
  refuse_absent(members, key);
}

const json::object& required_object(const Members& members, std::string_view key) {
  if (const json::object* object = members.object(key)) return *object;
  refuse_absent(members, key);
}

const json::array& required_array(const Members& members, std::string_view key) {
  if (const json::array* array = members.array(key)) return *array;
  refuse_absent(members, key);
}

float number_in(const Members& body, std::string_view key, double low, double high,
                double fallback) {
  const double value = body.number_or(key, fallback);
  if (!(value >= low && value <= high))
    refuse(body.path_of(key), "must be between " + plain(low) + " and " + plain(high));
  return static_cast<float>(value);
}

void pass_over(const Members& members, std::initializer_list<std::string_view> keys) {
  for (const std::string_view key : keys) members.find(key);
}

std::string parse_cache_salt(const Members& body) {
  const auto salt = body.string("cache_salt");
  if (salt && salt->empty()) refuse("cache_salt", "must not be empty");
  return salt.value_or("");
}

}  // namespace pippin::server
