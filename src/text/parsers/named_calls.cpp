#include "text/parsers/named_calls.h"

#include <algorithm>
#include <array>

namespace pippin::text {
namespace {

using Progress = CallReader::Progress;

// Longer than any head: what has no brace by then is no call.
constexpr std::size_t max_head_bytes = 1024;
constexpr std::size_t max_name_bytes = 256;

}  // namespace

bool is_tool_name(std::string_view name) {
  return !name.empty() && name.size() <= max_name_bytes &&
         std::none_of(name.begin(), name.end(), [](char c) {
           return static_cast<unsigned char>(c) <= ' ' ||
                  std::string_view("<>{}[]()\"'`").find(c) != std::string_view::npos;
         });
}

void NamedCalls::begin(std::string_view tag) {
  // Some models leave the outer tag out.
  state_ = layout_.call.empty() || tag == layout_.call ? State::head : State::between;
  head_.clear();
}

Progress NamedCalls::read(Input& input, OutputWriter& writer) {
  for (;;) {
    const auto before = state_;
    const auto progress = state_ == State::between     ? read_between(input)
                          : state_ == State::head      ? read_head(input, writer)
                          : state_ == State::arguments ? read_arguments(input, writer)
                                                       : read_behind(input);
    if (progress != Progress::more || state_ == before) return progress;
  }
}

Progress NamedCalls::read_between(Input& input) {
  input.skip_space();
  if (input.empty()) return Progress::more;
  if (tags().end.empty() && layout_.call.empty()) return Progress::done;
  const auto call = input.at(layout_.call);
  const auto end = tags().end.empty() ? Input::Match::no : input.at(tags().end);
  if (end == Input::Match::yes) {
    input.take(tags().end.size());
    return Progress::done;
  }
  if (call == Input::Match::yes) {
    input.take(layout_.call.size());
    head_.clear();
    state_ = State::head;
    return Progress::more;
  }
  return call == Input::Match::maybe || end == Input::Match::maybe ? Progress::more
                                                                   : Progress::broken;
}

Progress NamedCalls::read_head(Input& input, OutputWriter& writer) {
  if (!layout_.text_head.empty() && head_.empty()) {
    const auto match = input.at(layout_.text_head);
    if (match == Input::Match::maybe) return Progress::more;
    if (match == Input::Match::yes) {
      input.take(layout_.text_head.size());
      return Progress::done;
    }
  }
  const std::array<std::string_view, 2> stops{"{", layout_.call_end};
  const auto found = input.find(std::span(stops).first(layout_.call_end.empty() ? 1 : 2));
  input.move(found.before, head_, max_head_bytes);
  if (head_.size() > max_head_bytes) return Progress::broken;
  if (!found.tag) return Progress::more;
  auto head = parse_(head_);
  if (!head || !is_tool_name(head->name) || (layout_.offered && !layout_.offered->has(head->name)))
    return Progress::broken;
  begin_call(input, writer, std::move(head->name), std::move(head->id));
  if (*found.tag == 1) {  // no arguments at all
    writer.add_arguments("{}");
    end_call(input, writer);
    state_ = State::behind;
  } else {
    state_ = State::arguments;
  }
  return Progress::more;
}

Progress NamedCalls::read_arguments(Input& input, OutputWriter& writer) {
  while (!input.empty()) {
    const char byte = input.take_byte();
    const auto status = writer.add_arguments({&byte, 1});
    if (status == JsonScanner::Status::broken) return Progress::broken;
    if (status == JsonScanner::Status::open) continue;
    end_call(input, writer);
    state_ = State::behind;
    break;
  }
  return Progress::more;
}

// The arguments may stand in a fence: ```json ... ```.
Progress NamedCalls::read_behind(Input& input) {
  while (!input.empty() && (is_space(input.front()) || input.front() == '`')) input.take_byte();
  if (input.empty()) return Progress::more;
  if (!layout_.call_end.empty()) {
    const auto match = input.at(layout_.call_end);
    if (match == Input::Match::maybe) return Progress::more;
    if (match == Input::Match::yes) input.take(layout_.call_end.size());
    input.record("");
  }
  state_ = State::between;
  return Progress::more;
}

}  // namespace pippin::text
