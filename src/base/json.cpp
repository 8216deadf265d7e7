#include "base/json.h"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <utility>

#include "base/files.h"
#include "base/member_log.h"
#include "pippin/error.h"

namespace pippin {
namespace {

// Python's json writes Infinity and NaN, which JSON does not have: the largest number and null take their places. Strings stay.
std::string without_python_numbers(const std::string& text) {
  static constexpr std::pair<std::string_view, std::string_view> words[] = {{"Infinity", "1e308"},
                                                                            {"NaN", "null"}};
  std::string out;
  bool quoted = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto* word = std::find_if(std::begin(words), std::end(words), [&](const auto& pair) {
      return !quoted && text.compare(i, pair.first.size(), pair.first) == 0;
    });
    if (word != std::end(words)) {
      out += word->second;
      i += word->first.size() - 1;
      continue;
    }
    if (text[i] == '"') quoted = !quoted;
    out += text[i];
    if (quoted && text[i] == '\\' && i + 1 < text.size()) out += text[++i];
  }
  return out;
}

[[noreturn]] void throw_type(const Members& members, std::string_view key, const char* wanted,
                             const json::value& got) {
  const std::string field = members.path_of(key);
  throw Error(
      Code::invalid_argument,
      "'" + field + "' must be " + wanted + ", got " + std::string(json::to_string(got.kind())),
      field);
}

}  // namespace

json::value parse_json(std::string_view text, std::string_view what) {
  // A request nested deeper than this is an attack on the parser's stack, not a request.
  json::parse_options options;
  options.max_depth = 64;
  json::stream_parser parser({}, options);
  boost::system::error_code error;
  std::size_t used = parser.write(json::string_view(text.data(), text.size()), error);
  if (!error) parser.finish(error);
  if (error)
    throw Error(Code::invalid_argument, std::string(what) + " is not valid JSON at byte " +
                                            std::to_string(used) + ": " + error.message());
  return parser.release();
}

json::object parse_json_object(const std::string& text, const std::string& what) {
  json::value value = parse_json(without_python_numbers(text), what);
  if (!value.is_object()) throw Error(Code::invalid_argument, what + " must hold a JSON object");
  return std::move(value.as_object());
}

json::object read_json_object(const std::filesystem::path& file) {
  return parse_json_object(read_text(file), file.string());
}

const json::value* Members::find(std::string_view key) const {
  const json::value* member = object_.if_contains(json::string_view(key.data(), key.size()));
  MemberLog::note(object_, member);
  return !member || member->is_null() ? nullptr : member;
}

bool Members::has(std::string_view key) const {
  return object_.contains(json::string_view(key.data(), key.size()));
}

std::string Members::path_of(std::string_view key) const {
  return path_.empty() ? std::string(key) : path_ + "." + std::string(key);
}

std::optional<bool> Members::boolean(std::string_view key) const {
  const json::value* value = find(key);
  if (!value) return {};
  if (!value->is_bool()) throw_type(*this, key, "a boolean", *value);
  return value->as_bool();
}

std::optional<std::int64_t> Members::integer(std::string_view key) const {
  const json::value* value = find(key);
  if (!value) return {};
  if (value->is_int64()) return value->as_int64();
  // 2^53: past it a double no longer holds every integer.
  if (value->is_double() && std::abs(value->as_double()) <= 9007199254740992.0 &&
      std::trunc(value->as_double()) == value->as_double())
    return static_cast<std::int64_t>(value->as_double());
  throw_type(*this, key, "an integer", *value);
}

std::optional<double> Members::number(std::string_view key) const {
  const json::value* value = find(key);
  if (!value) return {};
  if (!value->is_number()) throw_type(*this, key, "a number", *value);
  return value->to_number<double>();
}

std::optional<std::string> Members::string(std::string_view key) const {
  const json::value* value = find(key);
  if (!value) return {};
  if (!value->is_string()) throw_type(*this, key, "a string", *value);
  return std::string(value->as_string());
}

const json::object* Members::object(std::string_view key) const {
  const json::value* value = find(key);
  if (!value) return nullptr;
  if (!value->is_object()) throw_type(*this, key, "an object", *value);
  return &value->as_object();
}

const json::array* Members::array(std::string_view key) const {
  const json::value* value = find(key);
  if (!value) return nullptr;
  if (!value->is_array()) throw_type(*this, key, "an array", *value);
  return &value->as_array();
}

std::int64_t Members::required_integer(std::string_view key) const {
  if (auto value = integer(key)) return *value;
  throw Error(Code::invalid_argument, "'" + path_of(key) + "' is missing", path_of(key));
}

}  // namespace pippin
