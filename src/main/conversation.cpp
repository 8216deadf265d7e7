#include "main/conversation.h"

#include <utility>

#include "base/files.h"
#include "base/json.h"
#include "pippin/error.h"

namespace pippin {
namespace {

namespace fs = std::filesystem;

const char* kind_of(bool is_video) { return is_video ? "video_url" : "image_url"; }

json::value content_of(const Conversation::Turn& turn) {
  if (turn.attachments.empty()) return json::string(turn.text);
  json::array parts;
  for (const Attachment& attachment : turn.attachments) {
    const char* kind = kind_of(attachment.is_video);
    parts.push_back({{"type", kind}, {kind, {{"url", attachment.source}}}});
  }
  parts.push_back({{"type", "text"}, {"text", turn.text}});
  return parts;
}

json::object to_json(const Conversation::Turn& turn) {
  json::object message{{"role", turn.role}, {"content", content_of(turn)}};
  if (!turn.reasoning.empty()) message["reasoning_content"] = turn.reasoning;
  return message;
}

[[noreturn]] void refuse(const fs::path& file, const std::string& why) {
  throw Error(Code::invalid_argument, file.string() + " is no saved chat: " + why);
}

void read_part(const Members& part, Conversation::Turn& turn, const AttachmentLoader& loader) {
  const std::string type = part.string("type").value_or("");
  for (const bool is_video : {false, true}) {
    if (type != kind_of(is_video)) continue;
    const auto* media = part.object(type);
    const std::string source = media ? Members(*media, type).string("url").value_or("") : "";
    turn.attachments.push_back(loader(is_video, source));
    return;
  }
  turn.text += part.string("text").value_or("");
}

Conversation::Turn read_turn(const Members& message, const AttachmentLoader& loader) {
  Conversation::Turn turn;
  turn.role = message.string("role").value_or("");
  turn.reasoning = message.string("reasoning_content").value_or("");
  const json::value* content = message.find("content");
  const json::array* parts = content ? content->if_array() : nullptr;
  if (parts == nullptr) {
    turn.text = message.string("content").value_or("");
    return turn;
  }
  for (const json::value& part : *parts) {
    if (!part.is_object()) throw Error(Code::invalid_argument, "a part of a message is no object");
    read_part(Members(part.get_object(), "content"), turn, loader);
  }
  return turn;
}

}  // namespace

void Conversation::ask(std::string text) {
  turns_.push_back({"user", std::move(text), "", std::exchange(attached_, {})});
}

void Conversation::answer(std::string text, std::string reasoning) {
  turns_.push_back({"assistant", std::move(text), std::move(reasoning), {}});
}

void Conversation::take_back() { turns_.pop_back(); }

void Conversation::clear() {
  turns_.clear();
  attached_.clear();
}

std::vector<Message> Conversation::messages() const {
  std::vector<Message> messages;
  if (!system.empty()) messages.push_back({"system", {{system, nullptr}}, ""});
  for (const Turn& turn : turns_) {
    Message message{turn.role, {}, ""};
    for (const Attachment& attachment : turn.attachments)
      message.content.push_back(attachment.content);
    message.content.push_back({turn.text, nullptr});
    if (!turn.reasoning.empty())
      message.extra_json = json::serialize(json::object{{"reasoning_content", turn.reasoning}});
    messages.push_back(std::move(message));
  }
  return messages;
}

void Conversation::save(const fs::path& file) const {
  json::array messages;
  if (!system.empty()) messages.push_back({{"role", "system"}, {"content", system}});
  for (const Turn& turn : turns_) messages.push_back(to_json(turn));
  write_file(file, json::serialize(json::object{{"messages", std::move(messages)}}) + "\n");
}

void Conversation::load(const fs::path& file, const AttachmentLoader& loader) {
  Conversation read;
  const json::object saved = read_json_object(file);
  const auto* messages = Members(saved).array("messages");
  if (messages == nullptr) refuse(file, "it has no messages");
  for (const json::value& message : *messages) {
    if (!message.is_object()) refuse(file, "a message is no object");
    Turn turn = read_turn(Members(message.get_object(), "messages"), loader);
    if (turn.role == "system" && read.turns_.empty())
      read.system = turn.text;
    else if (turn.role == "user" || turn.role == "assistant")
      read.turns_.push_back(std::move(turn));
    else
      refuse(file, "a message has the role '" + turn.role + "'");
  }
  *this = std::move(read);
}

}  // namespace pippin
