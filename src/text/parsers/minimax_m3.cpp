// MiniMax M3, whose every tag has a token before it, here written NS for "]<]minimax[>[". Lists and objects are elements, too:
//   NS<tool_call>
//   NS<invoke name="f">NS<a>1NS</a>NS<tags>NS<item>xNS</item>NS</tags>NS</invoke>
//   NS</tool_call>
#include <algorithm>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/json.h"
#include "text/parsers/formats.h"
#include "text/parsers/literals.h"
#include "text/parsers/named_calls.h"

namespace pippin::text {
namespace {

constexpr std::string_view mark = "]<]minimax[>[";
constexpr std::string_view begin_tag = "]<]minimax[>[<tool_call>";
constexpr std::string_view end_tag = "]<]minimax[>[</tool_call>";
constexpr std::string_view invoke = "invoke name=\"";
constexpr std::size_t max_tag_bytes = 256;
// Nested deeper, JSON readers refuse it.
constexpr std::size_t max_depth = 60;

/// An element of arguments: a text, or further elements.
struct Element {
  std::string name, text;
  std::vector<std::pair<std::string, std::string>> members;  ///< with their values as JSON
};

std::string joined(const Element& element, bool list) {
  std::string json(1, list ? '[' : '{');
  for (const auto& [name, value] : element.members) {
    if (json.size() > 1) json += ", ";
    if (!list) json += json::serialize(json::string(name)) + ": ";
    json += value;
  }
  return json + (list ? ']' : '}');
}

std::string json_of(const Element& element, const ValueTypes& types) {
  const bool empty = element.members.empty() && trimmed(element.text).empty();
  const bool items = std::all_of(element.members.begin(), element.members.end(),
                                 [](const auto& member) { return member.first == "item"; });
  if (!element.members.empty() || (empty && !types.string && (types.array || types.object)))
    return joined(element, items && (types.array || !types.object));
  return json_of(element.text, types);
}

class MinimaxM3Calls final : public CallReader {
 public:
  explicit MinimaxM3Calls(ToolsPtr tools)
      : CallReader({.begin = {begin_tag}, .bare = {}, .end = end_tag, .inner = {mark}}),
        tools_(std::move(tools)) {}

  void begin(std::string_view) override {
    state_ = State::between;
    open_.clear();
  }

  Progress read(Input& input, OutputWriter& writer) override {
    for (;;) {
      const auto progress =
          state_ == State::value ? read_value(input, writer) : read_tag(input, writer);
      if (progress != Step::on)
        return progress == Step::more   ? Progress::more
               : progress == Step::done ? Progress::done
                                        : Progress::broken;
    }
  }

 private:
  /// between: before a call; arguments: before an argument; value: in one.
  enum class State { between, arguments, value };
  enum class Step { on, more, done, broken };

  /// The tag that the input begins with, without brackets; nothing where it is not all there.
  static std::optional<std::string> next_tag(Input& input, Step& otherwise) {
    const auto match = input.at(mark);
    otherwise = match == Input::Match::no ? Step::broken : Step::more;
    if (match != Input::Match::yes) return std::nullopt;
    const auto rest = input.rest().substr(mark.size());
    const auto end = rest.find('>');
    if (!rest.empty() && rest.front() != '<') otherwise = Step::broken;
    if (std::min(end, rest.size()) > max_tag_bytes) otherwise = Step::broken;
    if (otherwise == Step::broken || end == std::string_view::npos) return std::nullopt;
    std::string tag(rest.substr(1, end - 1));
    input.take(mark.size() + end + 1);
    return tag;
  }

  Step read_tag(Input& input, OutputWriter& writer) {
    input.skip_space();
    if (input.empty()) return Step::more;
    Step otherwise = Step::more;
    const auto tag = next_tag(input, otherwise);
    if (!tag) return otherwise;
    return state_ == State::between ? begin_invoke(*tag, input, writer)
                                    : begin_argument(*tag, input, writer);
  }

  Step begin_invoke(std::string_view tag, Input& input, OutputWriter& writer) {
    if (tag == "/tool_call") return Step::done;
    if (!tag.starts_with(invoke) || !tag.ends_with('"')) return Step::broken;
    tag.remove_prefix(invoke.size());
    name_ = tag.substr(0, tag.find('"'));
    if (!is_tool_name(name_)) return Step::broken;
    begin_call(input, writer, name_);
    writer.add_arguments("{");
    first_ = true;
    state_ = State::arguments;
    return Step::on;
  }

  Step begin_argument(const std::string& tag, Input& input, OutputWriter& writer) {
    if (tag == "/invoke") {
      writer.add_arguments("}");
      end_call(input, writer);
      state_ = State::between;
      return Step::on;
    }
    if (tag.starts_with('/')) return Step::broken;
    writer.add_arguments((first_ ? "" : ", ") + json::serialize(json::string(tag)) + ": ");
    first_ = false;
    open_ = {{tag, "", {}}};
    streams_ = tools_->types_of(name_, tag).only_string();
    if (streams_) writer.add_arguments("\"");
    state_ = State::value;
    return Step::on;
  }

  Step read_value(Input& input, OutputWriter& writer) {
    const auto found = input.find({&mark, 1});
    const auto text = input.take(found.before);
    if (streams_)
      pass(text, writer);
    else
      open_.back().text += text;
    if (!found.tag) return Step::more;
    Step otherwise = Step::more;
    const auto tag = next_tag(input, otherwise);
    if (!tag) return otherwise;
    return tag->starts_with('/') ? end_element(tag->substr(1), writer) : begin_element(*tag);
  }

  Step begin_element(const std::string& tag) {
    if (streams_ || open_.size() >= max_depth) return Step::broken;
    open_.push_back({tag, "", {}});
    return Step::on;
  }

  Step end_element(const std::string& tag, OutputWriter& writer) {
    if (tag != open_.back().name) return Step::broken;
    std::vector<std::string> path;
    for (const auto& element : open_) path.push_back(element.name);
    const auto value = streams_ ? "\"" : json_of(open_.back(), tools_->types_of(name_, path));
    open_.pop_back();
    if (open_.empty()) {
      writer.add_arguments(value);
      state_ = State::arguments;
    } else {
      open_.back().members.emplace_back(tag, value);
    }
    return Step::on;
  }

  static void pass(std::string_view text, OutputWriter& writer) {
    std::string json;
    append_escaped(json, text);
    writer.add_arguments(json);
  }

  const ToolsPtr tools_;
  State state_ = State::between;
  std::string name_;           ///< the call's
  bool first_ = true;          ///< no argument has been passed on
  bool streams_ = false;       ///< the argument is a text
  std::vector<Element> open_;  ///< the argument and the elements in it that are open
};

}  // namespace

std::unique_ptr<CallReader> minimax_m3_calls(const ToolsPtr& tools) {
  return std::make_unique<MinimaxM3Calls>(tools);
}

}  // namespace pippin::text
