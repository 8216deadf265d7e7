#include "server/request_json.h"

#include <algorithm>
#include <utility>

#include "pippin/error.h"

namespace pippin::server {

void refuse(const std::string& field, const std::string& why) {
  throw Error(Code::invalid_argument, "'" + field + "' " + why, field);
}

std::string at(const std::string& path, std::size_t index) {
  return path + "." + std::to_string(index);
}

json::object parse_body(std::string_view body) {
  if (body.empty()) refuse("body", "is empty; a JSON object is needed");
  json::value value;
  try {
    value = parse_json(body, "the request's body");
  } catch (const Error& error) {
    throw Error(error.code(), error.what(), "body");
  }
  if (!value.is_object()) refuse("body", "must be a JSON object");
  return std::move(value.as_object());
}

const json::object& object_at(const json::value& value, const std::string& path) {
  if (!value.is_object()) refuse(path, "must be an object");
  return value.as_object();
}

std::string required_string(const Members& members, std::string_view key) {
  if (auto value = members.string(key)) return *value;
  refuse(members.path_of(key), "is missing");
}

float number_in(const Members& body, std::string_view key, double low, double high,
                double fallback) {
  const double value = body.number_or(key, fallback);
  if (!(value >= low && value <= high))
    refuse(body.path_of(key), "must be between " + json::serialize(json::value(low)) + " and " +
                                  json::serialize(json::value(high)));
  return static_cast<float>(value);
}

void note_unknown(const json::object& object, const std::string& path,
                  std::initializer_list<std::string_view> known,
                  std::vector<std::string>& ignored) {
  for (const auto& member : object) {
    const std::string_view key(member.key().data(), member.key().size());
    if (std::find(known.begin(), known.end(), key) == known.end())
      ignored.push_back(path + "." + std::string(key));
  }
}

std::string parse_cache_salt(const Members& body) {
  const auto salt = body.string("cache_salt");
  if (salt && salt->empty()) refuse("cache_salt", "must not be empty");
  return salt.value_or("");
}

}  // namespace pippin::server
