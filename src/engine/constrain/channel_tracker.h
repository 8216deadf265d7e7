// Where in its messages an answer of gpt-oss is, told by its tokens (text/parsers/channels).
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "text/tokenizer.h"

namespace pippin::engine {

/// The marks of messages as tokens of the vocabulary.
struct ChannelMarks {
  std::int32_t start, channel, message;
  std::vector<std::int32_t> all;  ///< these among them

  /// Nothing where one of the marks is no special token.
  static std::optional<ChannelMarks> find(const text::Tokenizer& tokenizer);
};

/// Follows the tokens of one answer as the format's parser follows their text.
class ChannelTracker {
 public:
  /// The answer goes on with what `prompt` leaves open. `with_calls`: messages to a recipient are calls; otherwise they are what
  /// their channel says.
  ChannelTracker(std::shared_ptr<const text::Tokenizer> tokenizer, ChannelMarks marks,
                 std::string_view prompt, bool with_calls);

  void accept(std::int32_t token);
  /// The next token is one of a thought, or ends it.
  bool thinking() const { return thinking_; }
  /// Tokens of all thoughts, without marks and headers.
  std::int64_t num_thought() const { return num_thought_; }

 private:
  void begin_body();
  bool is_mark(std::int32_t token) const;

  std::shared_ptr<const text::Tokenizer> tokenizer_;
  ChannelMarks marks_;
  bool with_calls_;
  std::string header_;  ///< so far, with its marks
  bool in_header_ = true, thinking_ = false;
  std::int64_t num_thought_ = 0;
};

}  // namespace pippin::engine
