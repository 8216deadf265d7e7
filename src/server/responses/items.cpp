#include "server/responses/items.h"

#include <algorithm>
#include <utility>

#include "pippin/error.h"
#include "server/chat/documents.h"
#include "server/responses/tools.h"
#include "server/schema/request_json.h"
#include "server/schema/utf8.h"

namespace pippin::server {
namespace {

constexpr std::string_view reasoning_mark = "pippin-reasoning:";

// The texts of an item's list of parts ("content", "summary"), one after the other.
std::string texts_of(const Members& item, std::string_view key) {
  std::string text;
  const json::array* parts = item.array(key);
  for (std::size_t i = 0; parts && i < parts->size(); ++i) {
    const std::string path = at(item.path_of(key), i);
    const Members part(object_at((*parts)[i], path), path);
    pass_over(part, {"type"});
    text += required_string(part, "text");
  }
  return text;
}

}  // namespace

bool is_unfinished(const Members& item) {
  const auto is = [&](std::string_view key, std::string_view value) {
    const json::value* found = item.find(key);
    return found && found->is_string() && found->get_string() == value;
  };
  const bool is_thought = is("type", "reasoning");
  const bool is_said = (!item.find("type") || is("type", "message")) && is("role", "assistant");
  return (is_thought || is_said) && (is("status", "incomplete") || is("status", "in_progress"));
}

std::string encrypted_content(std::string_view reasoning) {
  return std::string(reasoning_mark) + std::string(reasoning);
}

void ItemReader::begin(const std::string& role, std::string extra_json) {
  finish();
  text_open_ = false;
  out_.messages.push_back({role, {}, std::move(extra_json), path_});
}

void ItemReader::begin_assistant() {
  begin("assistant");
  in_assistant_ = true;
}

void ItemReader::finish() {
  if (!std::exchange(in_assistant_, false)) return;
  json::object extra;
  if (!reasoning_.empty()) extra["reasoning_content"] = std::exchange(reasoning_, {});
  if (!calls_.empty()) extra["tool_calls"] = std::exchange(calls_, {});
  if (!extra.empty()) out_.messages.back().extra_json = json::serialize(extra);
}

void ItemReader::read(const json::value& value, const std::string& path) {
  const Members item(object_at(value, path), path);
  path_ = path;
  pass_over(item, {"id", "status", "phase", "caller", "async"});
  const std::string type = item.string("type").value_or(item.find("role") ? "message" : "");
  if (type == "message")
    read_message(item);
  else if (type == "function_call")
    read_call(item);
  else if (type == "function_call_output")
    read_call_output(item);
  else if (type == "reasoning")
    read_reasoning(item);
  else if (type == "item_reference")
    read(referred(item), path);
  else
    refuse(
        item.path_of("type"),
        "must be message, function_call, function_call_output, reasoning or item_reference (others "
        "are not supported), got '" +
            excerpt(type) + "'");
}

void ItemReader::read_message(const Members& item) {
  std::string role = required_string(item, "role");
  if (role == "developer") role = "system";
  if (role != "system" && role != "user" && role != "assistant")
    refuse(item.path_of("role"),
           "must be system, developer, user or assistant, got '" + excerpt(role) + "'");
  const json::value& content = required(item, "content");
  const bool only_system =
      std::all_of(out_.messages.begin(), out_.messages.end(),
                  [](const Message& message) { return message.role == "system"; });
  const bool goes_on = role == "system" && only_system && !out_.messages.empty();
  const bool said_nothing = in_assistant_ && out_.messages.back().content.empty() && calls_.empty();
  const bool was_open = in_assistant_ && std::exchange(text_open_, false) && calls_.empty();
  joins_text_ = role == "assistant" && was_open && !said_nothing;
  if (role == "assistant") {
    if (!said_nothing && !joins_text_) begin_assistant();
  } else if (!goes_on) {
    begin(role);
  }
  read_content(content, item.path_of("content"), role);
  joins_text_ = false;
  text_open_ = role == "assistant" && is_unfinished(item);
}

void ItemReader::read_content(const json::value& content, const std::string& path,
                              const std::string& role) {
  if (content.is_string()) return add_text(std::string(content.as_string()));
  if (!content.is_array()) refuse(path, "must be a string or an array of parts");
  const json::array& parts = content.as_array();
  for (std::size_t i = 0; i < parts.size(); ++i) read_part(parts[i], at(path, i), role);
}

void ItemReader::read_part(const json::value& value, const std::string& path,
                           const std::string& role) {
  const Members part(object_at(value, path), path);
  const std::string type = required_string(part, "type");
  pass_over(part, {"annotations", "logprobs", "prompt_cache_breakpoint"});
  const bool is_text = type == "input_text" || type == "output_text" || type == "text";
  if (is_text)
    add_text(required_string(part, "text"));
  else if (type == "refusal" && role == "assistant")
    add_text(required_string(part, "refusal"));
  else if (type == "input_image" && role != "assistant")
    add_image(part);
  else if (type == "input_file" && role != "assistant")
    add_text(file_document(part));
  else
    refuse(part.path_of("type"),
           "must be input_text, output_text, input_image or input_file here (others are not "
           "supported), got '" +
               excerpt(type) + "'");
}

void ItemReader::add_text(std::string text) {
  if (std::exchange(joins_text_, false)) {
    out_.messages.back().content.back().text += text;
    return;
  }
  out_.messages.back().content.push_back({std::move(text), nullptr});
}

void ItemReader::add_image(const Members& part) {
  if (part.find("file_id")) refuse(part.path_of("file_id"), "is not supported; use 'image_url'");
  const std::string detail = part.string("detail").value_or("auto");
  if (detail != "auto" && detail != "low" && detail != "high" && detail != "original")
    refuse(part.path_of("detail"),
           "must be auto, low, high or original, got '" + excerpt(detail) + "'");
  MediaSource picture;
  picture.urls = {required_string(part, "image_url")};
  picture.low_detail = detail == "low";
  picture.field = part.path_of("image_url");
  picture.message = out_.messages.size() - 1;
  picture.part = out_.messages.back().content.size();
  out_.messages.back().content.emplace_back();
  out_.media.push_back(std::move(picture));
}

void ItemReader::read_call(const Members& item) {
  if (!in_assistant_) begin_assistant();
  std::string name =
      qualified_name(item.string("namespace").value_or(""), required_string(item, "name"));
  calls_.push_back(call_object(required_string(item, "call_id"), std::move(name),
                               item.string("arguments").value_or("")));
}

void ItemReader::read_call_output(const Members& item) {
  const json::object extra{{"tool_call_id", required_string(item, "call_id")}};
  const json::value& output = required(item, "output");
  begin("tool", json::serialize(extra));
  read_content(output, item.path_of("output"), "tool");
}

void ItemReader::read_reasoning(const Members& item) {
  std::string text = texts_of(item, "content");
  const std::string summary = texts_of(item, "summary");
  const std::string encrypted = item.string("encrypted_content").value_or("");
  if (text.empty() && encrypted.starts_with(reasoning_mark))
    text = encrypted.substr(reasoning_mark.size());
  if (text.empty()) text = summary;
  const bool goes_on = in_assistant_ && out_.messages.back().content.empty() && calls_.empty();
  if (!goes_on) begin_assistant();
  reasoning_ += text;
}

void ItemReader::resolve(json::value& item, const std::string& path) const {
  const Members reference(object_at(item, path), path);
  if (reference.string("type") == "item_reference") item = referred(reference);
}

// Never a reference.
json::object ItemReader::referred(const Members& reference) const {
  const std::string id = required_string(reference, "id");
  if (auto found = find_(id)) return *std::move(found);
  throw Error(Code::not_found, "item '" + excerpt(id) + "' is not known (any more)",
              reference.path_of("id"));
}

}  // namespace pippin::server
