#include "server/chat/messages.h"

#include <algorithm>
#include <string_view>
#include <utility>

#include "server/chat/documents.h"
#include "server/schema/request_json.h"
#include "server/schema/utf8.h"

namespace pippin::server {
namespace {

std::optional<int> frames_of(const Members& members, std::string_view key) {
  const auto count = members.integer(key);
  if (!count) return {};
  if (*count < 1 || *count > 65536) refuse(members.path_of(key), "must be between 1 and 65536");
  return static_cast<int>(*count);
}

// Converts one message; ParsedMessages is filled in passing.
class MessageParser {
 public:
  MessageParser(const json::object& object, std::string path, ParsedMessages& out)
      : path_(std::move(path)), members_(object, path_), out_(out) {}

  void parse();

 private:
  void parse_role();
  bool may_be_silent() const;
  void parse_content();
  void parse_part(const json::value& value, const std::string& path);
  void parse_image(const Members& part, const std::string& path);
  void parse_video_url(const Members& part, const std::string& path);
  void parse_video(const Members& part, const std::string& path);
  void parse_file(const Members& part);
  void add(MediaSource source);
  void parse_extra();
  json::array tool_calls();
  json::object tool_call(const json::value& value, const std::string& path);

  const std::string path_;
  const Members members_;
  ParsedMessages& out_;
  std::string role_;  // as sent
  Message message_;
};

void MessageParser::parse() {
  message_.field = path_;
  parse_role();
  parse_content();
  parse_extra();
  pass_over(members_, {"annotations", "cache_control"});
  out_.messages.push_back(std::move(message_));
}

void MessageParser::parse_role() {
  role_ = required_string(members_, "role");
  constexpr std::string_view roles[] = {"system", "developer", "user", "assistant", "tool"};
  if (std::find(std::begin(roles), std::end(roles), role_) == std::end(roles))
    refuse(members_.path_of("role"),
           "must be system, developer, user, assistant or tool, got '" + excerpt(role_) + "'");
  // Templates know OpenAI's newer name for the same thing rarely, and pass over roles that they don't know.
  message_.role = role_ == "developer" ? "system" : role_;
}

// An assistant that called, refused or only thought has no content.
bool MessageParser::may_be_silent() const {
  const auto said = {"tool_calls", "refusal", "reasoning_content", "reasoning"};
  return role_ == "assistant" && std::any_of(said.begin(), said.end(), [&](const char* key) {
           return members_.find(key) != nullptr;
         });
}

void MessageParser::parse_content() {
  const std::string path = members_.path_of("content");
  const json::value* content = members_.find("content");
  if (!content && !may_be_silent()) refuse_absent(members_, "content");
  // Few templates know of refusals: they are what was said.
  if (!content) content = role_ == "assistant" ? members_.find("refusal") : nullptr;
  if (!content) return;
  if (content->is_string()) {
    message_.content.push_back({std::string(content->as_string()), nullptr});
    return;
  }
  if (!content->is_array()) refuse(path, "must be a string or an array of parts");
  const json::array& parts = content->as_array();
  if (parts.empty()) refuse(path, "must not be empty");
  for (std::size_t i = 0; i < parts.size(); ++i) parse_part(parts[i], at(path, i));
}

void MessageParser::parse_part(const json::value& value, const std::string& path) {
  const Members part(object_at(value, path), path);
  const std::string type = required_string(part, "type");
  pass_over(part, {"cache_control", "prompt_cache_breakpoint"});
  if (type == "text")
    message_.content.push_back({required_string(part, "text"), nullptr});
  else if (type == "refusal" && role_ == "assistant")
    message_.content.push_back({required_string(part, "refusal"), nullptr});
  else if (type == "image_url")
    parse_image(part, path);
  else if (type == "video_url")
    parse_video_url(part, path);
  else if (type == "video")
    parse_video(part, path);
  else if (type == "file")
    parse_file(part);
  else
    refuse(part.path_of("type"),
           "must be text, image_url, video_url, video or file (others are not supported), got '" +
               excerpt(type) + "'");
}

void MessageParser::parse_image(const Members& part, const std::string& path) {
  const std::string field = path + ".image_url";
  const Members members(required_object(part, "image_url"), field);
  const std::string detail = members.string("detail").value_or("auto");
  if (detail != "auto" && detail != "low" && detail != "high" && detail != "original")
    refuse(members.path_of("detail"),
           "must be auto, low, high or original, got '" + excerpt(detail) + "'");
  MediaSource source;
  source.urls = {required_string(members, "url")};
  source.low_detail = detail == "low";
  source.field = field;
  add(std::move(source));
}

// {"type": "video_url", "video_url": {"url": ..., "fps": 2}}, as vLLM's clients send it; or "fps" beside.
void MessageParser::parse_video_url(const Members& part, const std::string& path) {
  const std::string field = path + ".video_url";
  const Members members(required_object(part, "video_url"), field);
  MediaSource source;
  source.kind = MediaSource::Kind::video;
  source.urls = {required_string(members, "url")};
  source.sampling = parse_video_wishes(members).or_else(parse_video_wishes(part));
  source.field = field;
  add(std::move(source));
}

// {"type": "video", "video": [url, url ...], "fps": 2}, as Qwen's clients send it; or one URL of a file.
void MessageParser::parse_video(const Members& part, const std::string& path) {
  MediaSource source;
  source.kind = MediaSource::Kind::video;
  source.field = path + ".video";
  source.sampling = parse_video_wishes(part);
  const json::value& video = required(part, "video");
  if (!video.is_array()) {
    source.urls = {required_string(part, "video")};
    return add(std::move(source));
  }
  source.kind = MediaSource::Kind::frames;
  const json::array& frames = video.as_array();
  if (frames.empty()) refuse(source.field, "must not be empty");
  for (std::size_t i = 0; i < frames.size(); ++i) {
    if (!frames[i].is_string()) refuse(at(source.field, i), "must be a URL of a picture");
    source.urls.emplace_back(frames[i].as_string());
  }
  for (const char* key : {"min_frames", "max_frames", "num_frames"})
    if (part.find(key)) refuse(part.path_of(key), "is for files; all pictures given are shown");
  add(std::move(source));
}

void MessageParser::parse_file(const Members& part) {
  const Members file(required_object(part, "file"), part.path_of("file"));
  message_.content.push_back({file_document(file), nullptr});
}

void MessageParser::add(MediaSource source) {
  source.message = out_.messages.size();
  source.part = message_.content.size();
  out_.media.push_back(std::move(source));
  message_.content.emplace_back();
}

// What templates read of a message beside its role and content.
void MessageParser::parse_extra() {
  if (members_.find("function_call"))
    refuse(members_.path_of("function_call"), "is not supported; use 'tool_calls'");
  if (members_.find("audio")) refuse(members_.path_of("audio"), "is not supported");
  json::object extra;
  for (const char* key : {"name", "tool_call_id", "refusal", "reasoning_content"})
    if (auto value = members_.string(key)) extra[key] = *value;
  // vLLM's newer name.
  if (auto reasoning = members_.string("reasoning");
      reasoning && !extra.contains("reasoning_content"))
    extra["reasoning_content"] = *reasoning;
  if (members_.find("tool_calls")) extra["tool_calls"] = tool_calls();
  if (!extra.empty()) message_.extra_json = json::serialize(extra);
}

json::array MessageParser::tool_calls() {
  const std::string path = members_.path_of("tool_calls");
  if (role_ != "assistant") refuse(path, "may only be in an assistant's message");
  const json::array& calls = *members_.array("tool_calls");
  json::array out;
  for (std::size_t i = 0; i < calls.size(); ++i) out.push_back(tool_call(calls[i], at(path, i)));
  return out;
}

json::object MessageParser::tool_call(const json::value& value, const std::string& path) {
  const Members call(object_at(value, path), path);
  pass_over(call, {"index"});  // left over where a client has put a call together from deltas
  const std::string type = call.string("type").value_or("function");
  if (type != "function")
    refuse(call.path_of("type"), "must be function, got '" + excerpt(type) + "'");
  const Members function(required_object(call, "function"), call.path_of("function"));
  return call_object(call.string("id"), required_string(function, "name"),
                     function.string("arguments").value_or(""));
}

// As the template gets it, which may ask a tool for its parameters whether it has any or not.
json::object checked_tool(const json::value& value, const std::string& path) {
  json::object shown = object_at(value, path);
  const Members tool(value.as_object(), path);
  const std::string type = required_string(tool, "type");
  if (type != "function")
    refuse(tool.path_of("type"), "must be function, got '" + excerpt(type) + "'");
  const Members function(required_object(tool, "function"), tool.path_of("function"));
  if (required_string(function, "name").empty())
    refuse(function.path_of("name"), "must not be empty");
  function.string("description");
  function.boolean("strict");
  shown.at("function").as_object()["parameters"] =
      parameters_or_none(function.object("parameters"));
  return shown;
}

}  // namespace

json::object parameters_or_none(const json::object* parameters) {
  json::object schema = parameters ? *parameters : json::object();
  const auto says = {"properties", "$ref", "anyOf", "oneOf", "allOf"};
  if (std::any_of(says.begin(), says.end(), [&](const char* key) { return schema.contains(key); }))
    return schema;
  schema.emplace("type", "object");
  schema["properties"] = json::object();
  return schema;
}

json::object call_object(const std::optional<std::string>& id, std::string name,
                         std::string arguments) {
  json::object call;
  if (id) call["id"] = *id;
  call["type"] = "function";
  call["function"] = json::object{{"name", std::move(name)}, {"arguments", std::move(arguments)}};
  return call;
}

VideoWishes VideoWishes::or_else(const VideoWishes& others) const {
  VideoWishes all = *this;
  // Each of the two says how many frames there shall be: the nearer word counts.
  if (!all.fps && !all.num_frames) {
    all.fps = others.fps;
    all.num_frames = others.num_frames;
  }
  if (!all.min_frames) all.min_frames = others.min_frames;
  if (!all.max_frames) all.max_frames = others.max_frames;
  return all;
}

VideoSampling VideoWishes::over(VideoSampling model) const {
  if (fps) model.num_frames = 0;
  model.fps = fps.value_or(model.fps);
  model.min_frames = min_frames.value_or(model.min_frames);
  model.max_frames = max_frames.value_or(model.max_frames);
  model.num_frames = num_frames.value_or(model.num_frames);
  return model;
}

VideoWishes parse_video_wishes(const Members& members) {
  VideoWishes wishes;
  wishes.fps = members.number("fps");
  if (wishes.fps && !(*wishes.fps > 0 && *wishes.fps <= 1000))
    refuse(members.path_of("fps"), "must be above 0 and at most 1000");
  wishes.min_frames = frames_of(members, "min_frames");
  wishes.max_frames = frames_of(members, "max_frames");
  wishes.num_frames = frames_of(members, "num_frames");
  if (wishes.fps && wishes.num_frames)
    refuse(members.path_of("num_frames"), "and 'fps' exclude each other");
  return wishes;
}

ParsedMessages parse_messages(const json::array& messages) {
  if (messages.empty()) refuse("messages", "must not be empty");
  ParsedMessages out;
  for (std::size_t i = 0; i < messages.size(); ++i) {
    const std::string path = at("messages", i);
    MessageParser(object_at(messages[i], path), path, out).parse();
  }
  return out;
}

PromptEnd prompt_end_of(ParsedMessages& parsed) {
  auto& messages = parsed.messages;
  if (messages.empty() || messages.back().role != "assistant") return PromptEnd::answer;
  const Message& last = messages.back();
  const bool shows = !parsed.media.empty() && parsed.media.back().message + 1 == messages.size();
  const bool says = std::any_of(last.content.begin(), last.content.end(),
                                [](const ContentPart& part) { return !part.text.empty(); });
  if (says || shows || !last.extra_json.empty() || messages.size() == 1)
    return PromptEnd::last_message;
  messages.pop_back();
  return PromptEnd::answer;
}

std::string parse_tools(const json::array& tools) {
  json::array shown;
  for (std::size_t i = 0; i < tools.size(); ++i)
    shown.push_back(checked_tool(tools[i], at("tools", i)));
  return shown.empty() ? "" : json::serialize(shown);
}

}  // namespace pippin::server
