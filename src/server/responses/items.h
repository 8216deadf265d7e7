// The items of OpenAI's Responses API: JSON -> messages.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "base/json.h"
#include "server/chat/messages.h"

namespace pippin::server {

/// The text that a reasoning item's encrypted_content carries. As the model runs here there is nothing to be kept secret: it is
/// the text itself, behind a mark that tells it from what others have encrypted, which is no use.
std::string encrypted_content(std::string_view reasoning);

/// What an assistant thought or said, but not to its end: as an answer's last item it goes on.
bool is_unfinished(const Members& item);

/// Finds an item that an answer gave before, by its id.
using FindItem = std::function<std::optional<json::object>(const std::string& id)>;

/// Reads items one after the other. What an assistant thought, said and called in a row becomes one message, as the model had
/// written it; system and developer items at the head become one system message, since many templates take one alone.
class ItemReader {
 public:
  ItemReader(ParsedMessages& out, FindItem find) : out_(out), find_(std::move(find)) {}

  /// Throws Error(invalid_argument) naming the path of what is wrong, or of an item that can't be shown to a model. `path` is the
  /// item's: "input.3".
  void read(const json::value& item, const std::string& path);
  /// Puts the item in place of a reference to it. Throws Error(not_found) for one that is not known.
  void resolve(json::value& item, const std::string& path) const;
  /// After the last item.
  void finish();

 private:
  void read_message(const Members& item);
  void read_call(const Members& item);
  void read_call_output(const Members& item);
  void read_reasoning(const Members& item);
  void read_content(const json::value& content, const std::string& path, const std::string& role);
  void read_part(const json::value& value, const std::string& path, const std::string& role);
  void add_image(const Members& part);
  void add_text(std::string text);
  void begin(const std::string& role, std::string extra_json = "");
  void begin_assistant();
  json::object referred(const Members& reference) const;

  ParsedMessages& out_;
  const FindItem find_;
  bool in_assistant_ = false;  // the last message is an assistant's, which takes more
  bool text_open_ = false;     // its text was not finished: a message that follows goes on with it
  bool joins_text_ = false;    // the message being read does
  std::string reasoning_;      // its
  json::array calls_;          // its
  std::string path_;           // of the item being read
};

}  // namespace pippin::server
