// The messages of gpt-oss's harmony format: their marks, and what their headers say.
//   <|start|>assistant<|channel|>commentary to=functions.f <|constrain|>json<|message|>{"a": 1}<|call|>
// Source: docs/format.md of openai/harmony.
#pragma once

#include <string_view>
#include <vector>

namespace pippin::text::channels {

inline constexpr std::string_view start = "<|start|>";
inline constexpr std::string_view channel = "<|channel|>";
inline constexpr std::string_view message = "<|message|>";

/// Closes a message of the assistant's and begins the next one's header.
inline constexpr std::string_view next_message = "<|end|><|start|>assistant";
/// The rest of the header of what the user is told.
inline constexpr std::string_view final_header = "<|channel|>final<|message|>";

/// All marks; each is one special token of the vocabulary.
const std::vector<std::string_view>& marks();
/// Those that end an answer.
const std::vector<std::string_view>& end_marks();

struct Header {
  std::string_view channel;    ///< empty: it names none
  std::string_view recipient;  ///< whom the message is for, "functions.f"; empty: it names none
};

/// Reads a header, which is what stands between <|start|> and <|message|>: the recipient stands in the role's part or the channel's.
Header read_header(std::string_view header);

/// A message that a prompt leaves to the model to go on with.
struct OpenMessage {
  std::string_view header;     ///< as far as it is there
  bool in_body = false;        ///< it is whole
  std::string_view body = {};  ///< what follows it
};

OpenMessage open_message(std::string_view prompt);

}  // namespace pippin::text::channels
