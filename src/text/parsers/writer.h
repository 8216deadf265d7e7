// Collects the events of an answer: white space around markup goes, calls are numbered and checked.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "text/parsers/input.h"
#include "text/parsers/json_scanner.h"
#include "text/parsers/parser.h"

namespace pippin::text {

/// Owns the events not yet taken and the white space that may yet turn out to stand before markup.
class OutputWriter {
 public:
  using Kind = OutputEvent::Kind;

  /// What is written was taken from `input`, which outlives the writer; null: what is fed is written at once.
  explicit OutputWriter(const Input* input = nullptr) : input_(input) {}

  /// Says more of the current section, which is text or reasoning. White space at its end waits for what follows.
  void say(Kind kind, std::string_view text);
  /// Nothing but white space has been said in this section.
  bool at_start() const { return at_start_; }
  /// Says the waiting white space: no markup follows.
  void say_space();
  /// The waiting white space; it no longer waits.
  std::string take_space();
  /// Markup follows: the waiting white space goes, and so will white space at the next section's start.
  void end_section();

  /// `id` is the model's own, empty for none.
  void begin_call(std::string name, std::string id = "");
  /// More of the open call's arguments; whether they are a whole JSON object by now.
  JsonScanner::Status add_arguments(std::string_view text);
  /// Closes the open call: as complete where its arguments are a JSON object.
  void end_call();
  bool call_open() const { return call_open_; }
  int num_calls() const { return num_calls_; }

  /// Says the waiting white space and closes an open call.
  void finish();
  OutputEvents take();

 private:
  /// `space`: bytes of white space behind the text, which wait.
  void add(Kind kind, std::string_view text, std::size_t space = 0);
  std::size_t unread() const { return input_ ? input_->rest().size() : 0; }

  const Input* const input_;
  OutputEvents events_;
  Kind section_ = Kind::text;
  std::string space_;        ///< white space said last
  bool drop_space_ = false;  ///< at the section's start
  bool at_start_ = true;
  bool call_open_ = false;
  bool any_arguments_ = false;  ///< the open call has some
  bool is_object_ = false;      ///< they begin as an object does
  int num_calls_ = 0;
  JsonScanner arguments_;  ///< the open call's
};

}  // namespace pippin::text
