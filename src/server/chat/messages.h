// The messages and tools of a chat request: JSON -> native types.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "base/json.h"
#include "pippin/request.h"

namespace pippin::server {

/// How a request wants its videos sampled; what it leaves out is as the model's own (VideoSampling).
struct VideoWishes {
  std::optional<double> fps;
  std::optional<int> min_frames, max_frames, num_frames;

  /// These, and where they say nothing what `others` say.
  VideoWishes or_else(const VideoWishes& others) const;
  VideoSampling over(VideoSampling model) const;
};

/// A picture or video that a message names, still to be fetched.
struct MediaSource {
  enum class Kind {
    picture,
    video,
    frames,  ///< a video given as its frames, each a picture
  };
  Kind kind = Kind::picture;
  std::size_t message = 0;        ///< index of its message
  std::size_t part = 0;           ///< index of its part in Message::content
  std::vector<std::string> urls;  ///< of each frame, or one
  bool low_detail = false;        ///< OpenAI's detail "low": no side longer than 512 pixels
  VideoWishes sampling;           ///< of frames only the fps, at which they were taken
  std::string field;              ///< "messages.0.content.1.image_url"
};

struct ParsedMessages {
  std::vector<Message> messages;   ///< parts of pictures and videos are there, without pixels
  std::vector<MediaSource> media;  ///< in the order of the request
};

/// Reads fps, min_frames, max_frames and num_frames. Throws Error(invalid_argument) naming the member
/// that is out of range.
VideoWishes parse_video_wishes(const Members& members);

/// Checks and converts "messages". Throws Error(invalid_argument) naming the path of what is wrong.
ParsedMessages parse_messages(const json::array& messages);

/// Where the prompt ends in APIs whose last message of the assistant's is how the answer begins: within it, or behind all messages where
/// the last is another's. One that says nothing is taken out, and begins nothing.
PromptEnd prompt_end_of(ParsedMessages& parsed);

/// An earlier call as a member of a message's "tool_calls". Its arguments are any text: what a model left broken, cut off by
/// max_tokens as it may be, the client can't mend. Templates get an object where the text is one (rust/src/template/calls.rs).
json::object call_object(const std::optional<std::string>& id, std::string name,
                         std::string arguments);

/// A tool's parameters as templates can ask for their properties, of a tool without any, too: an object's, which may be empty.
json::object parameters_or_none(const json::object* parameters);

/// Checks "tools" and returns them as the template gets them, or "" for none. Throws as above.
std::string parse_tools(const json::array& tools);

}  // namespace pippin::server
