#include "text/messages.h"

#include <algorithm>

#include "base/json.h"
#include "pippin/error.h"

namespace pippin::text {
namespace {

json::object part_of(const ContentPart& part) {
  if (part.image) return {{"type", "image"}};
  if (part.video) return {{"type", "video"}};
  return {{"type", "text"}, {"text", part.text}};
}

json::value content_of(const Message& message) {
  const auto& parts = message.content;
  const auto is_medium = [](const auto& part) { return part.image || part.video; };
  if (std::any_of(parts.begin(), parts.end(), is_medium)) {
    json::array list;
    for (const auto& part : parts) list.push_back(part_of(part));
    return list;
  }
  std::string text;
  for (std::size_t i = 0; i < parts.size(); ++i) text += (i ? "\n" : "") + parts[i].text;
  return json::string(text);
}

json::object to_json(const Message& message) {
  json::object object{{"role", message.role}, {"content", content_of(message)}};
  if (message.extra_json.empty()) return object;
  const auto extra = parse_json(message.extra_json, "extra_json");
  if (!extra.is_object())
    throw Error(Code::invalid_argument, "[messages] extra_json must be a JSON object");
  for (const auto& [key, value] : extra.as_object()) object[key] = value;
  // Templates know either name.
  if (const auto* reasoning = object.if_contains("reasoning_content");
      reasoning && !object.contains("thinking"))
    object["thinking"] = json::value(*reasoning);
  return object;
}

}  // namespace

std::string messages_json(const std::vector<Message>& messages) {
  json::array array;
  for (const auto& message : messages) array.push_back(to_json(message));
  return json::serialize(array);
}

}  // namespace pippin::text
