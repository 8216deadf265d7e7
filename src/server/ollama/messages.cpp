#include "server/ollama/messages.h"

#include <algorithm>
#include <utility>
#include <vector>

namespace pippin::server {
namespace {

// An earlier call that no message has answered yet.
struct OpenCall {
  std::string id, name;
};

class MessageParser {
 public:
  explicit MessageParser(const RequestBody& body) : body_(body) {}

  void parse(const json::value& value, const std::string& path);
  ParsedMessages take() { return std::move(out_); }

 private:
  json::object parse_call(const json::value& value, const std::string& path);
  void add_calls(const Members& message, json::object& extra);
  void add_answered_call(const Members& message, json::object& extra);

  const RequestBody& body_;
  ParsedMessages out_;
  std::vector<OpenCall> open_;
  std::size_t num_calls_ = 0;
};

void add_images(const json::array* images, const std::string& path, ParsedMessages& out) {
  for (std::size_t i = 0; images && i < images->size(); ++i) {
    const json::value& image = (*images)[i];
    if (!image.is_string()) refuse(at(path, i), "must be a picture in base64");
    const std::string text(image.as_string());
    MediaSource source;
    source.urls = {text.starts_with("data:") ? text : "data:;base64," + text};
    source.field = at(path, i);
    source.message = out.messages.size() - 1;
    source.part = out.messages.back().content.size();
    out.messages.back().content.emplace_back();
    out.media.push_back(std::move(source));
  }
}

// {"function": {"name", "arguments": {...}}}
json::object MessageParser::parse_call(const json::value& value, const std::string& path) {
  const Members call(object_at(value, path), path);
  pass_over(call, {"type"});
  const Members function(required_object(call, "function"), call.path_of("function"));
  pass_over(function, {"index", "description"});
  const json::value* arguments = function.find("arguments");
  const bool is_text = arguments && arguments->is_string();
  std::string text = is_text     ? std::string(arguments->as_string())
                     : arguments ? body_.text_of(*arguments)
                                 : "{}";
  open_.push_back({call.string("id").value_or("call_" + std::to_string(num_calls_)),
                   required_string(function, "name")});
  ++num_calls_;
  return call_object(open_.back().id, open_.back().name, std::move(text));
}

void MessageParser::add_calls(const Members& message, json::object& extra) {
  const json::array* calls = message.array("tool_calls");
  if (!calls || calls->empty()) return;
  json::array all;
  for (std::size_t i = 0; i < calls->size(); ++i)
    all.push_back(parse_call((*calls)[i], at(message.path_of("tool_calls"), i)));
  extra["tool_calls"] = std::move(all);
}

void MessageParser::add_answered_call(const Members& message, json::object& extra) {
  const auto id = message.string("tool_call_id");
  const auto name = message.string("tool_name");
  const auto called = std::find_if(open_.begin(), open_.end(), [&](const OpenCall& call) {
    return id ? call.id == *id : !name || call.name == *name;
  });
  if (id) extra["tool_call_id"] = *id;
  if (name) extra["name"] = *name;
  if (called == open_.end()) return;
  extra["tool_call_id"] = called->id;
  extra["name"] = called->name;
  open_.erase(called);
}

void MessageParser::parse(const json::value& value, const std::string& path) {
  const Members message(object_at(value, path), path);
  const std::string role = required_string(message, "role");
  json::object extra;
  if (role == "tool") add_answered_call(message, extra);
  add_calls(message, extra);
  if (const auto thinking = message.string("thinking"); thinking && !thinking->empty())
    extra["reasoning_content"] = *thinking;
  out_.messages.push_back({role, {}, extra.empty() ? "" : json::serialize(extra), path});
  add_images(message.array("images"), message.path_of("images"), out_);
  out_.messages.back().content.push_back({message.string("content").value_or("")});
}

}  // namespace

ParsedMessages parse_ollama_messages(const RequestBody& body, const json::array& messages) {
  MessageParser parser(body);
  for (std::size_t i = 0; i < messages.size(); ++i) parser.parse(messages[i], at("messages", i));
  return parser.take();
}

ParsedMessages ollama_prompt(const std::string& system, std::string prompt,
                             const json::array* images) {
  ParsedMessages out;
  if (!system.empty()) out.messages.push_back({"system", {{system}}, "", "system"});
  out.messages.push_back({"user", {}, "", "prompt"});
  add_images(images, "images", out);
  out.messages.back().content.push_back({std::move(prompt)});
  return out;
}

}  // namespace pippin::server
