// Gemma 3, as its documentation prompts for: calls as Python in a block
//   ```tool_code
//   f(a=1)
//   ```
// FunctionGemma: <start_function_call>call:f{a:1,b:<escape>x<escape>}<end_function_call>
// Gemma 4: <|tool_call>call:f{a:1,b:<|"|>x<|"|>}<tool_call|>
#include "text/parsers/formats.h"
#include "text/parsers/literals.h"
#include "text/parsers/named_calls.h"
#include "text/parsers/python_calls.h"

namespace pippin::text {
namespace {

constexpr std::string_view call_word = "call:";
constexpr std::size_t max_head_bytes = 256;

class GemmaCalls final : public CallReader {
 public:
  using CallReader::CallReader;

  void begin(std::string_view) override {
    state_ = State::head;
    head_.clear();
    arguments_ = LiteralReader(gemma_literals);
  }

  Progress read(Input& input, OutputWriter& writer) override {
    if (state_ == State::head)
      if (const auto progress = read_head(input, writer); progress != Progress::done)
        return progress;
    if (state_ == State::arguments)
      if (const auto progress = read_arguments(input, writer); progress != Progress::done)
        return progress;
    return read_end(input);
  }

 private:
  enum class State { head, arguments, behind };

  Progress read_head(Input& input, OutputWriter& writer) {
    while (!input.empty() && input.front() != '{' && head_.size() <= max_head_bytes)
      head_ += input.take_byte();
    if (head_.size() > max_head_bytes) return Progress::broken;
    if (input.empty()) return Progress::more;
    auto name = trimmed(head_);
    if (!name.starts_with(call_word)) return Progress::broken;
    name = trimmed(name.substr(call_word.size()));
    if (!is_tool_name(name)) return Progress::broken;
    begin_call(input, writer, std::string(name));
    state_ = State::arguments;
    return Progress::done;
  }

  Progress read_arguments(Input& input, OutputWriter& writer) {
    std::string json;
    const auto progress = arguments_.read(input, json);
    writer.add_arguments(json);
    if (progress == LiteralReader::Progress::more) return Progress::more;
    if (progress == LiteralReader::Progress::broken) return Progress::broken;
    end_call(input, writer);
    state_ = State::behind;
    return Progress::done;
  }

  Progress read_end(Input& input) {
    input.skip_space();
    const auto match = input.empty() ? Input::Match::maybe : input.at(tags().end);
    if (match == Input::Match::maybe) return Progress::more;
    if (match == Input::Match::no) return Progress::broken;
    input.take(tags().end.size());
    return Progress::done;
  }

  State state_ = State::head;
  std::string head_;
  LiteralReader arguments_{gemma_literals};
};

}  // namespace

std::unique_ptr<CallReader> gemma3_calls(const ToolsPtr& tools) {
  return std::make_unique<PythonCalls>(
      CallReader::Tags{.begin = {"```tool_code"}, .bare = {}, .end = "```", .inner = {}}, tools);
}

std::unique_ptr<CallReader> functiongemma_calls(const ToolsPtr&) {
  return std::make_unique<GemmaCalls>(CallReader::Tags{.begin = {"<start_function_call>"},
                                                       .bare = {},
                                                       .end = "<end_function_call>",
                                                       .inner = {"<escape>"}});
}

std::unique_ptr<CallReader> gemma4_calls(const ToolsPtr&) {
  return std::make_unique<GemmaCalls>(CallReader::Tags{
      .begin = {"<|tool_call>"}, .bare = {}, .end = "<tool_call|>", .inner = {"<|\"|>"}});
}

}  // namespace pippin::text
