// What a model says, told apart as it is generated: text, reasoning, and calls of tools.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace pippin::text {

/// One step of an answer. For a call: call_begin, any number of call_arguments, and call_end where its arguments turned out to
/// be a whole JSON object. A call without call_end was cut off or malformed; the next call_begin or the end closes it.
struct OutputEvent {
  enum class Kind { text, reasoning, call_begin, call_arguments, call_end };

  Kind kind = Kind::text;
  std::string text;  ///< what was said; of call_begin the tool's name
  int call = 0;      ///< which call, from 0
  std::string id;    ///< of call_begin, where the format has ids; empty: any will do
  /// Bytes of what was fed that come behind it: they were not settled yet.
  std::size_t behind = 0;

  bool operator==(const OutputEvent&) const = default;
};

using OutputEvents = std::vector<OutputEvent>;

/// How an answer comes to its end.
enum class AnswerEnd {
  whole,  ///< the model ended it
  cut,    ///< the model would have gone on
};

/// Tells one answer's parts apart. One thread at a time.
/// Always: whatever the pieces, the events say the same (the texts of a kind and the arguments of a call, joined); any bytes
/// give a valid sequence of events; nothing but white space around markup is lost: markup that is malformed comes out as text
/// until a tool's name was read, as arguments after it. What a cut answer says is the beginning of what the whole one would say:
/// of markup that is not complete it says nothing. Never throws for what is fed.
class OutputParser {
 public:
  virtual ~OutputParser() = default;

  /// Spellings of the special tokens that mean something here; any other is for the caller to leave out.
  virtual const std::vector<std::string_view>& markers() const = 0;

  /// Takes the next text.
  virtual OutputEvents feed(std::string_view text) = 0;
  /// Takes one of the markers that came as a token of its own.
  virtual OutputEvents feed_marker(std::string_view marker) = 0;
  /// Ends the answer. Nothing may be fed afterwards.
  virtual OutputEvents finish(AnswerEnd end) = 0;
};

}  // namespace pippin::text
