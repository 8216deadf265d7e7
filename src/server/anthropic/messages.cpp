#include "server/anthropic/messages.h"

#include <algorithm>
#include <cstddef>
#include <utility>

#include "server/chat/documents.h"
#include "server/schema/request_json.h"
#include "server/schema/utf8.h"

namespace pippin::server {
namespace {

bool is_users(const json::value& message) {
  const json::object* object = message.if_object();
  const json::value* role = object ? object->if_contains("role") : nullptr;
  return role && *role == "user";
}

void refuse_citations(const Members& block) {
  if (const json::object* citations = block.object("citations"))
    if (const Members members(*citations, block.path_of("citations"));
        members.boolean("enabled").value_or(false))
      refuse(members.path_of("enabled"), "must be false (citations are not supported)");
}

// Pictures are made smaller where they are too large; "error" would have it told instead.
void check_transformations(const Members& block) {
  const json::object* object = block.object("transformations");
  if (!object) return;
  const Members transformations(*object, block.path_of("transformations"));
  if (const auto oversized = transformations.string("oversized_image").value_or("downsize");
      oversized != "downsize")
    refuse(transformations.path_of("oversized_image"),
           "must be downsize (others are not supported), got '" + excerpt(oversized) + "'");
}

// What all turns share.
struct Context {
  const RequestBody& body;
  const AnthropicTools& tools;
  ParsedMessages& out;
};

// Converts what one entry of "messages" says, or "system".
class TurnParser {
 public:
  /// path: of the content; field: of the message.
  TurnParser(std::string role, std::string path, std::string field, const Context& context)
      : role_(std::move(role)),
        path_(std::move(path)),
        field_(std::move(field)),
        body_(context.body),
        tools_(context.tools),
        out_(context.out) {}

  /// A string or an array of blocks.
  void parse(const json::value& content);

 private:
  void parse_block(const json::value& value, const std::string& path);
  bool parse_anyones(const std::string& type, const Members& block);
  bool parse_users(const std::string& type, const Members& block);
  bool parse_assistants(const std::string& type, const Members& block);
  bool parse_systems(const std::string& type, const Members& block);
  void parse_result(const Members& block);
  void parse_result_part(const json::value& value, const std::string& path);
  void add_document(const Members& block);
  void add_document_content(const Members& source);
  void add_search_result(const Members& block);
  void add_reference(const Members& part);
  std::string definition(const std::string& name) const;
  std::string arguments(const Members& block) const;
  void add_call(const Members& block);
  void add_text(std::string text);
  void add_image(const Members& block);
  /// Closes the assistant's message with what is not its content.
  void add_extra();
  /// Whom the next part goes to: the turn's last message, or a new one where that is a tool's.
  Message& message();

  const std::string role_;
  const std::string path_;
  const std::string field_;
  const RequestBody& body_;
  const AnthropicTools& tools_;
  ParsedMessages& out_;
  bool open_ = false;  // the last message takes further parts
  std::string thinking_;
  json::array calls_;
};

Message& TurnParser::message() {
  if (!std::exchange(open_, true)) out_.messages.push_back({role_, {}, "", field_});
  return out_.messages.back();
}

void TurnParser::add_text(std::string text) {
  message().content.push_back({std::move(text), nullptr});
}

void TurnParser::parse(const json::value& content) {
  if (content.is_string()) {
    add_text(std::string(content.as_string()));
    return;
  }
  if (!content.is_array()) refuse(path_, "must be a string or an array of content blocks");
  const json::array& blocks = content.as_array();
  if (blocks.empty() && role_ == "user") refuse(path_, "must not be empty");
  for (std::size_t i = 0; i < blocks.size(); ++i) parse_block(blocks[i], at(path_, i));
  if (role_ == "assistant") add_extra();
}

void TurnParser::parse_block(const json::value& value, const std::string& path) {
  const Members block(object_at(value, path), path);
  const std::string type = required_string(block, "type");
  pass_over(block, {"cache_control", "citations", "caller", "toolset_name"});
  if (parse_anyones(type, block)) return;
  if (role_ == "user" && parse_users(type, block)) return;
  if (role_ == "assistant" && parse_assistants(type, block)) return;
  if (role_ == "system" && parse_systems(type, block)) return;
  refuse(block.path_of("type"),
         "can't be " + excerpt(type) + " in what the " + role_ + " says here (not supported)");
}

bool TurnParser::parse_anyones(const std::string& type, const Members& block) {
  if (type != "text") return false;
  add_text(required_string(block, "text"));
  return true;
}

bool TurnParser::parse_users(const std::string& type, const Members& block) {
  if (type == "image")
    add_image(block);
  else if (type == "document")
    add_document(block);
  else if (type == "search_result")
    add_search_result(block);
  else if (type == "tool_result")
    parse_result(block);
  else
    return false;
  return true;
}

bool TurnParser::parse_assistants(const std::string& type, const Members& block) {
  if (type == "thinking") {
    thinking_ += required_string(block, "thinking");
    pass_over(block, {"signature"});
  } else if (type == "tool_use") {
    add_call(block);
  } else {
    pass_over(block, {"data"});
    return type == "redacted_thinking";
  }
  return true;
}

// {"type": "tool_addition" | "tool_removal", "tool": {"type": "tool_reference", "name"}}: a tool comes or goes within a conversation.
bool TurnParser::parse_systems(const std::string& type, const Members& block) {
  if (type != "tool_addition" && type != "tool_removal") return false;
  const Members tool(required_object(block, "tool"), block.path_of("tool"));
  if (const std::string kind = required_string(tool, "type"); kind != "tool_reference")
    refuse(tool.path_of("type"),
           "must be tool_reference (others are not supported), got '" + excerpt(kind) + "'");
  const std::string name = required_string(tool, "name");
  if (type == "tool_removal")
    add_text("The tool " + name + " can't be called any more.\n");
  else
    add_text("The tool " + name + " can be called now.\n" + definition(name));
  return true;
}

// The definition of a tool that is loaded later; empty for others, which the template shows.
std::string TurnParser::definition(const std::string& name) const {
  const auto found = tools_.later.find(name);
  return found == tools_.later.end() ? "" : "<tools>\n" + found->second + "\n</tools>\n";
}

// {"type": "tool_reference", "tool_name"}: what a search for tools found.
void TurnParser::add_reference(const Members& part) {
  const std::string name = required_string(part, "tool_name");
  const std::string defined = definition(name);
  add_text(defined.empty() ? name + "\n" : defined);
}

void TurnParser::add_image(const Members& block) {
  const std::string field = block.path_of("source");
  const Members source(required_object(block, "source"), field);
  check_transformations(block);
  const std::string type = required_string(source, "type");
  MediaSource picture;
  picture.field = field;
  if (type == "base64")
    picture.urls = {"data:" + required_string(source, "media_type") + ";base64," +
                    required_string(source, "data")};
  else if (type == "url")
    picture.urls = {required_string(source, "url")};
  else
    refuse(source.path_of("type"), "must be base64 or url here, got '" + excerpt(type) + "'");
  Message& to = message();
  picture.message = out_.messages.size() - 1;
  picture.part = to.content.size();
  to.content.emplace_back();
  out_.media.push_back(std::move(picture));
}

// {"type": "tool_result", "tool_use_id", "content": a string or blocks, "is_error"}: a message of its own.
void TurnParser::parse_result(const Members& block) {
  const json::object extra{{"tool_call_id", required_string(block, "tool_use_id")}};
  out_.messages.push_back({"tool", {}, json::serialize(extra), field_});
  open_ = true;
  const bool is_error = block.boolean("is_error").value_or(false);
  const std::string path = block.path_of("content");
  const json::value* content = block.find("content");
  if (content && content->is_array()) {
    if (is_error) add_text("Error: ");
    const json::array& parts = content->as_array();
    for (std::size_t i = 0; i < parts.size(); ++i) parse_result_part(parts[i], at(path, i));
  } else if (!content || content->is_string()) {
    const std::string text = content ? std::string(content->as_string()) : "";
    add_text((is_error ? "Error: " : "") + text);
  } else {
    refuse(path, "must be a string or an array of content blocks");
  }
  open_ = false;
}

void TurnParser::parse_result_part(const json::value& value, const std::string& path) {
  const Members part(object_at(value, path), path);
  const std::string type = required_string(part, "type");
  pass_over(part, {"cache_control", "citations"});
  if (type == "text")
    add_text(required_string(part, "text"));
  else if (type == "image")
    add_image(part);
  else if (type == "document")
    add_document(part);
  else if (type == "search_result")
    add_search_result(part);
  else if (type == "tool_reference")
    add_reference(part);
  else
    refuse(part.path_of("type"),
           "must be text, image, document, search_result or tool_reference here (others are not "
           "supported), got '" +
               excerpt(type) + "'");
}

// {"type": "document", "source": {"type": "text" | "base64" | "content", ...}, "title", "context"}: its text.
void TurnParser::add_document(const Members& block) {
  refuse_citations(block);
  const Members source(required_object(block, "source"), block.path_of("source"));
  const std::string type = required_string(source, "type");
  pass_over(source, {"media_type"});
  std::string head = document_head(block.string("title").value_or(""));
  if (const auto context = block.string("context")) head += *context + "\n";
  if (type == "text") {
    add_text(head.append(required_string(source, "data")).append(document_tail));
  } else if (type == "base64") {
    const std::string text = text_of_file(required_string(source, "data"), source.path_of("data"));
    add_text(head.append(text).append(document_tail));
  } else if (type == "content") {
    add_text(head);
    add_document_content(source);
    add_text(std::string(document_tail));
  } else {
    refuse(source.path_of("type"),
           "must be text, base64 or content here, got '" + excerpt(type) + "'");
  }
}

// {"type": "search_result", "title", "source", "content": blocks of text}: as a document that says where it is from.
void TurnParser::add_search_result(const Members& block) {
  refuse_citations(block);
  add_text(document_head(required_string(block, "title")) + required_string(block, "source") +
           "\n");
  add_document_content(block);
  add_text(std::string(document_tail));
}

// A string, or blocks of text and images.
void TurnParser::add_document_content(const Members& source) {
  const json::value& content = required(source, "content");
  const std::string path = source.path_of("content");
  if (content.is_string()) return add_text(std::string(content.as_string()));
  if (!content.is_array()) refuse(path, "must be a string or an array of content blocks");
  const json::array& parts = content.as_array();
  for (std::size_t i = 0; i < parts.size(); ++i) parse_result_part(parts[i], at(path, i));
}

// What a client has put together of an answer that was cut off need not be an object.
std::string TurnParser::arguments(const Members& block) const {
  const json::value* input = block.find("input");
  if (!input) return "";
  return input->is_string() ? std::string(input->as_string()) : body_.text_of(*input);
}

void TurnParser::add_call(const Members& block) {
  calls_.push_back(
      call_object(required_string(block, "id"), required_string(block, "name"), arguments(block)));
}

void TurnParser::add_extra() {
  json::object extra;
  if (!thinking_.empty()) extra["reasoning_content"] = thinking_;
  if (!calls_.empty()) extra["tool_calls"] = std::move(calls_);
  Message& said = message();
  if (!extra.empty()) said.extra_json = json::serialize(extra);
}

// {"role": "system", "clear_at": "next_user_message"} is shown until the user says more.
bool is_shown(const Members& members, const std::string& role, bool user_follows) {
  const std::string until = members.string("clear_at").value_or("never");
  if (until != "never" && until != "next_user_message")
    refuse(members.path_of("clear_at"),
           "must be never or next_user_message, got '" + excerpt(until) + "'");
  if (until == "never") return true;
  if (role != "system") refuse(members.path_of("clear_at"), "may only be in a system message");
  return !user_follows;
}

void parse_turn(const json::value& value, const std::string& path, bool user_follows,
                const Context& context) {
  const Members members(object_at(value, path), path);
  const std::string role = required_string(members, "role");
  if (role != "user" && role != "assistant" && role != "system")
    refuse(members.path_of("role"), "must be user or assistant, got '" + excerpt(role) + "'");
  if (const json::object* config = members.object("output_config"); config && !config->empty())
    refuse(members.path_of("output_config"), "is not supported; use the request's own");
  const json::value& content = required(members, "content");
  if (!is_shown(members, role, user_follows)) return;
  TurnParser(role, members.path_of("content"), path, context).parse(content);
}

}  // namespace

ParsedMessages parse_anthropic_messages(const RequestBody& body, const AnthropicTools& tools) {
  const Members members(body.object());
  const json::array& messages = required_array(members, "messages");
  if (messages.empty()) refuse("messages", "must not be empty");
  ParsedMessages out;
  const Context context{body, tools, out};
  const json::value* system = members.find("system");
  const bool silent = !system || *system == "" || *system == json::array();
  if (!silent) TurnParser("system", "system", "system", context).parse(*system);
  const auto last_user = std::find_if(messages.rbegin(), messages.rend(), is_users);
  const auto users_end = static_cast<std::size_t>(messages.rend() - last_user);
  for (std::size_t i = 0; i < messages.size(); ++i)
    parse_turn(messages[i], at("messages", i), i + 1 < users_end, context);
  if (out.messages.empty()) refuse("messages", "must not all be empty");
  return out;
}

}  // namespace pippin::server
