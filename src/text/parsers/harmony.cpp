// gpt-oss's harmony format. An answer is one or more messages, whose marks are special tokens and count as nothing else:
//   <|channel|>analysis<|message|>I think.<|end|>
//   <|start|>assistant<|channel|>commentary to=functions.f <|constrain|>json<|message|>{"a": 1}<|call|>
//   <|start|>assistant<|channel|>final<|message|>I say.<|return|>
// A header names the channel and the recipient, in either order. Commentary without a recipient is for the user.
#include <string>

#include "text/parsers/channels.h"
#include "text/parsers/formats.h"
#include "text/parsers/input.h"
#include "text/parsers/writer.h"

namespace pippin::text {
namespace {

using Kind = OutputEvent::Kind;

constexpr std::string_view recipient = "to=";
constexpr std::string_view functions = "functions.";

class HarmonyParser final : public OutputParser {
 public:
  HarmonyParser(std::string_view prompt, bool with_calls, bool with_reasoning);

  const std::vector<std::string_view>& markers() const override { return channels::marks(); }
  OutputEvents feed(std::string_view text) override;
  OutputEvents feed_marker(std::string_view marker) override;
  OutputEvents finish(AnswerEnd end) override;

 private:
  /// opening: the first header, of which the prompt holds the beginning; between: behind a message.
  enum class State { opening, header, body, between };

  void say(std::string_view text);
  void begin_body();
  void end_body();
  void open_header(std::string text) {
    header_ = std::move(text);
    state_ = State::header;
  }

  const bool with_calls_, with_reasoning_;
  State state_ = State::opening;
  std::string header_;  ///< so far, with its marks
  Kind body_ = Kind::text;
  OutputWriter writer_;
};

HarmonyParser::HarmonyParser(std::string_view prompt, bool with_calls, bool with_reasoning)
    : with_calls_(with_calls), with_reasoning_(with_reasoning) {
  const auto open = channels::open_message(prompt);
  if (open.header.find(channels::channel) != std::string_view::npos)
    open_header(std::string(open.header));
  if (open.in_body) begin_body();
}

OutputEvents HarmonyParser::feed(std::string_view text) {
  switch (state_) {
    case State::opening:
      header_ += text;
      // A model that answers without a header.
      if (const auto seen = trimmed(header_);
          !seen.starts_with(recipient.substr(0, seen.size())) && !seen.starts_with(recipient)) {
        state_ = State::body;
        say(std::exchange(header_, {}));
      }
      break;
    case State::header:
      header_ += text;
      break;
    case State::body:
      say(text);
      break;
    case State::between:
      writer_.say(Kind::text, text);
      break;
  }
  return writer_.take();
}

OutputEvents HarmonyParser::feed_marker(std::string_view marker) {
  const bool in_header = state_ == State::opening || state_ == State::header;
  if (in_header && marker == channels::message) {
    begin_body();
  } else if (in_header) {
    open_header(header_ + std::string(marker));
  } else {
    end_body();
    if (marker == channels::start || marker == channels::channel) open_header(std::string(marker));
    if (marker == channels::message) state_ = State::body;
  }
  return writer_.take();
}

OutputEvents HarmonyParser::finish(AnswerEnd end) {
  // A header that was cut off says nothing to anyone; text that only looked like one does.
  if (state_ == State::opening && end == AnswerEnd::whole) writer_.say(Kind::text, header_);
  writer_.finish();
  return writer_.take();
}

void HarmonyParser::begin_body() {
  const auto header = channels::read_header(header_);
  body_ = with_reasoning_ && header.channel == "analysis" ? Kind::reasoning : Kind::text;
  state_ = State::body;
  auto tool = header.recipient;
  if (tool.starts_with(functions)) tool.remove_prefix(functions.size());
  if (with_calls_ && !tool.empty()) writer_.begin_call(std::string(tool));
}

void HarmonyParser::end_body() {
  writer_.end_call();
  writer_.end_section();
  body_ = Kind::text;
  state_ = State::between;
}

void HarmonyParser::say(std::string_view text) {
  if (writer_.call_open())
    writer_.add_arguments(text);
  else
    writer_.say(body_, text);
}

}  // namespace

std::unique_ptr<OutputParser> harmony_parser(std::string_view prompt, bool with_calls,
                                             bool with_reasoning) {
  return std::make_unique<HarmonyParser>(prompt, with_calls, with_reasoning);
}

}  // namespace pippin::text
