// An answer as it comes, on a terminal or into a file.
#pragma once

#include <chrono>
#include <ostream>
#include <string>
#include <string_view>

#include "pippin/request.h"

namespace pippin {

/// Where text goes, and whether that is a terminal: there reasoning is dimmed, and no text moves the cursor.
struct Output {
  std::ostream& stream;
  bool terminal = false;
};

/// The answer to one stream, reasoning to the other: it is not the answer that a script wants.
class AnswerPrinter {
 public:
  AnswerPrinter(Output answer, Output remarks);

  void print(const ChatEvent& event);
  /// Ends the last line.
  void finish();

  /// All so far.
  const std::string& text() const { return text_; }
  const std::string& reasoning() const { return reasoning_; }
  /// Tokens and speed so far, in brackets. `begun`: when the answer was asked for.
  std::string stats(std::chrono::steady_clock::time_point begun) const;

 private:
  void end_thought();

  Output answer_, remarks_;
  std::string text_, reasoning_;
  bool thinking_ = false;
  Usage usage_;
  std::chrono::steady_clock::time_point first_, last_;
};

/// `text` without what moves a terminal's cursor or changes its state: control characters but line feeds and tabs become U+FFFD. Whole
/// UTF-8 characters in, whole ones out.
std::string without_controls(std::string_view text);

}  // namespace pippin
