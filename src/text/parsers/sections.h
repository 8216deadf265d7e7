// The parser of every format that marks reasoning and calls by tags in the text.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "text/parsers/input.h"
#include "text/parsers/parser.h"
#include "text/parsers/writer.h"

namespace pippin::text {

/// The tags around reasoning; empty for none.
struct ReasoningTags {
  std::string_view open, close;
};

/// Reads the calls in one stretch of markup. One file a format derives from it or sets up one that is shared.
class CallReader {
 public:
  /// How markup begins and ends.
  struct Tags {
    /// Begin markup wherever they stand in the text.
    std::vector<std::string_view> begin;
    /// Begin markup only where the text begins, and are part of what is read: '{', '['.
    std::vector<std::string_view> bare;
    /// Ends markup; empty where nothing marks the end.
    std::string_view end;
    /// Further special tokens within it.
    std::vector<std::string_view> inner;
  };
  enum class Progress { more, done, broken };

  explicit CallReader(Tags tags) : tags_(std::move(tags)) {}
  virtual ~CallReader() = default;

  const Tags& tags() const { return tags_; }

  /// Markup begins, by this tag.
  virtual void begin(std::string_view tag) = 0;
  /// Whether bare markup that was cut before it named a tool, where the argument is all of it, was to be a call: else it is text.
  virtual bool surely_calls(std::string_view) const { return true; }
  /// Reads on: `more` where the input does not suffice, `done` behind the markup's end, `broken` where this is no markup (or,
  /// with a call open, no longer).
  virtual Progress read(Input& input, OutputWriter& writer) = 0;

 protected:
  /// A call's name is known: from here on nothing is given back as text.
  static void begin_call(Input& input, OutputWriter& writer, std::string name, std::string id = "");
  static void end_call(Input& input, OutputWriter& writer);

 private:
  const Tags tags_;
};

/// Owns what has arrived and is not settled. See OutputParser.
class SectionParser final : public OutputParser {
 public:
  /// Without a reader calls stay text. `in_reasoning`: the prompt has opened the reasoning already.
  SectionParser(ReasoningTags reasoning, std::unique_ptr<CallReader> calls, bool in_reasoning);

  const std::vector<std::string_view>& markers() const override { return markers_; }
  OutputEvents feed(std::string_view text) override;
  OutputEvents feed_marker(std::string_view marker) override;
  OutputEvents finish(AnswerEnd end) override;

 private:
  enum class State { text, reasoning, calls, broken_call };

  void run();
  /// Each reads what it can of its state; true where the state has changed.
  bool read_text();
  bool read_reasoning();
  bool read_calls();
  bool read_broken_call();

  bool begin_section();
  bool may_begin_section() const;
  bool begin_calls(std::string_view tag, bool bare);
  /// The markup is none: what was read of it is text.
  void give_back();
  /// The answer was cut: says what is said whatever might have followed.
  void settle_cut();
  bool only_closes(std::string_view text) const;

  const ReasoningTags reasoning_;
  const std::unique_ptr<CallReader> calls_;  ///< null: none are looked for
  std::vector<std::string_view> markers_;
  Input input_;
  OutputWriter writer_{&input_};
  State state_;
  bool bare_ = false;     ///< the current markup began without a tag
  int calls_before_ = 0;  ///< calls that preceded the current markup
};

}  // namespace pippin::text
