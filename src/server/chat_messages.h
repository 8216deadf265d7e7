// The messages and tools of a chat request: JSON -> native types.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "base/json.h"
#include "pippin/request.h"

namespace pippin::server {

/// A picture that a message names, still to be fetched.
struct ImageSource {
  std::size_t message = 0;  ///< index of its message
  std::size_t part = 0;     ///< index of its part in Message::content
  std::string url;
  bool low_detail = false;  ///< OpenAI's detail "low": no side longer than 512 pixels
  std::string field;        ///< "messages.0.content.1.image_url"
};

struct ParsedMessages {
  std::vector<Message> messages;     ///< parts of pictures are there, without pixels
  std::vector<ImageSource> images;   ///< in the order of the request
  std::vector<std::string> ignored;  ///< names of unknown members: "messages.0.mood"
};

/// Checks and converts "messages". Throws Error(invalid_argument) naming the path of what is wrong.
ParsedMessages parse_messages(const json::array& messages);

/// Checks "tools" and returns them as the template gets them, or "" for none. Throws as above.
std::string parse_tools(const json::array& tools);

}  // namespace pippin::server
