// Values as Python writes them, and as Gemma does, to JSON as they arrive.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "text/parsers/input.h"

namespace pippin::text {

/// How a notation differs from JSON.
struct LiteralStyle {
  std::vector<std::string_view> quotes;  ///< around strings; of several that match the first counts
  bool escapes = true;                   ///< a backslash in a string means something
  bool bare_keys = false;                ///< keys of objects stand without quotes
};

extern const LiteralStyle python_literals;
extern const LiteralStyle gemma_literals;

/// Reads one value; `style` must outlive it. Words that are neither numbers nor True, False, None (in any case; null, too) become strings.
class LiteralReader {
 public:
  enum class Progress { more, done, broken };

  explicit LiteralReader(const LiteralStyle& style) : style_(&style) {}

  /// Takes what it can and appends its JSON to `json`. What follows the value stays in the input.
  Progress read(Input& input, std::string& json);

 private:
  enum class State { value, string, word, after_value, key, bare_key, after_key, done };

  /// One step of `state_`; done where it has come further.
  Progress step(Input& input, std::string& json);
  Progress read_value(Input& input, std::string& json);
  Progress read_string(Input& input, std::string& json);
  Progress read_escape(Input& input, std::string& json);
  Progress read_word(Input& input, std::string& json);
  Progress read_key(Input& input, std::string& json);
  Progress read_bare_key(Input& input, std::string& json);
  Progress read_after_key(Input& input, std::string& json);
  Progress read_after_value(Input& input, std::string& json);

  /// Begins a string where a quote stands; more where one may.
  std::optional<Progress> begin_string(Input& input, std::string& json, bool key);
  void begin_item(std::string& json);
  void close(Input& input, std::string& json);
  void end_value() { state_ = open_.empty() ? State::done : State::after_value; }

  const LiteralStyle* style_;
  State state_ = State::value;
  std::string open_;        ///< the closing brackets that are due, innermost last
  bool comma_due_ = false;  ///< before the next item of the innermost object or list
  bool in_key_ = false;     ///< the string being read is a key
  std::string_view quote_;  ///< of that string
  std::string word_;        ///< the word or bare key being read
};

/// A whole text that is one Python value, as JSON; nullopt where it isn't one.
std::optional<std::string> literal_to_json(std::string_view text);

/// Appends text as the inside of a JSON string.
void append_escaped(std::string& json, std::string_view text);

}  // namespace pippin::text
