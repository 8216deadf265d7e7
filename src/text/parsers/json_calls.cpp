#include "text/parsers/json_calls.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "text/parsers/call_id.h"

namespace pippin::text {
namespace {

using Progress = CallReader::Progress;
using Kind = JsonEvent::Kind;

bool names_tool(std::string_view key) { return key == "name" || key == "tool_name"; }
bool names_arguments(std::string_view key) { return key == "arguments" || key == "parameters"; }

// One of the texts goes on as the other does.
bool agree(std::string_view a, std::string_view b) { return a.starts_with(b) || b.starts_with(a); }

}  // namespace

void JsonCalls::begin(std::string_view) {
  state_ = State::before;
  any_call_ = false;
}

Progress JsonCalls::read(Input& input, OutputWriter& writer) {
  for (;;) {
    const auto before = state_;
    const auto progress = state_ == State::before   ? read_before(input)
                          : state_ == State::inside ? read_inside(input, writer)
                                                    : read_behind(input);
    if (progress != Progress::more || state_ == before) return progress;
  }
}

bool JsonCalls::surely_calls(std::string_view text) const {
  std::string bare;
  std::copy_if(text.begin(), text.end(), std::back_inserter(bare),
               [](char c) { return !is_space(c); });
  std::string_view object = bare;
  if (object.starts_with('[')) object.remove_prefix(1);
  for (const std::string_view head : {R"({"name":")", R"({"tool_name":")"}) {
    if (head.starts_with(object)) return true;
    if (object.starts_with(head))
      return !options_.offered || options_.offered->any_begins(object.substr(head.size()));
  }
  return agree(object, R"({"arguments":{)") || agree(object, R"({"parameters":{)") ||
         agree(object, R"({"type":"function")");
}

Progress JsonCalls::read_before(Input& input) {
  input.skip_space();
  if (input.empty()) return Progress::more;
  if (input.front() != '{' && input.front() != '[') return Progress::broken;
  call_depth_ = input.front() == '[' ? 1 : 0;
  scanner_.reset();
  state_ = State::inside;
  return Progress::more;
}

Progress JsonCalls::read_inside(Input& input, OutputWriter& writer) {
  while (!input.empty()) {
    if (!take(input.take_byte(), input, writer)) return Progress::broken;
    if (scanner_.status() != JsonScanner::Status::done) continue;
    state_ = State::behind;
    if (any_call_) input.record("");  // it is read; only what follows may be text
    break;
  }
  return Progress::more;
}

// Further calls may follow, and stray brackets do.
Progress JsonCalls::read_behind(Input& input) {
  const auto end = tags().end;
  const std::string_view strays = end.empty() ? " \n\t\r;" : " \n\t\r;,]}";
  while (!input.empty() && strays.find(input.front()) != std::string_view::npos) input.take_byte();
  if (input.empty()) return Progress::more;
  if (input.front() == '{' || input.front() == '[') {
    state_ = State::before;
    return Progress::more;
  }
  if (end.empty()) return Progress::done;
  const auto match = input.at(end);
  if (match == Input::Match::yes) input.take(end.size());
  if (match == Input::Match::maybe) return Progress::more;
  return match == Input::Match::yes ? Progress::done : Progress::broken;
}

// False where this is no call.
bool JsonCalls::take(char byte, Input& input, OutputWriter& writer) {
  if (scanner_.push(byte) == JsonScanner::Status::broken) {
    if (writer.call_open()) writer.add_arguments({&byte, 1});
    return false;
  }
  // Once, and before the event that ends them: a byte may complete a number and the object around it.
  bool passed = in_arguments_;
  if (passed) pass_arguments({&byte, 1}, writer);
  for (const auto& event : scanner_.events())
    if (!take_event(event, input, writer)) return false;
  if (in_arguments_ && !passed) pass_arguments({&byte, 1}, writer);
  return true;
}

bool JsonCalls::take_event(const JsonEvent& event, Input& input, OutputWriter& writer) {
  if (event.depth == call_depth_ && event.kind == Kind::object_begin) {
    called_ = has_arguments_ = in_arguments_ = false;
    waiting_.clear();
    key_.clear();
  } else if (event.depth == call_depth_ && event.kind == Kind::object_end) {
    return take_end(input, writer);
  } else if (event.depth == call_depth_) {
    return false;  // a list of something else
  } else if (event.depth == call_depth_ + 1) {
    return take_member(event, input, writer);
  }
  return true;
}

// Takes a member of a call's own object.
bool JsonCalls::take_member(const JsonEvent& event, Input& input, OutputWriter& writer) {
  if (event.kind == Kind::key && options_.keyed_by_name) {
    key_ = "arguments";
    has_arguments_ = false;
    return take_name(event.text, input, writer);
  } else if (event.kind == Kind::key) {
    key_ = event.text;
  } else if (names_tool(key_) && !called_) {
    return event.kind == Kind::string && take_name(event.text, input, writer);
  } else if (event.kind == Kind::object_end && in_arguments_) {
    in_arguments_ = false;
    finish_call(input, writer);
  } else if (names_arguments(key_) && !has_arguments_) {
    has_arguments_ = event.kind != Kind::scalar;  // null is none
    in_arguments_ = event.kind == Kind::object_begin;
    if (event.kind == Kind::array_begin) return false;
    if (event.kind != Kind::string) return true;
    pass_arguments(event.text, writer);
    finish_call(input, writer);
  }
  return true;
}

bool JsonCalls::take_name(const std::string& name, Input& input, OutputWriter& writer) {
  if (name.empty() || (options_.offered && !options_.offered->has(name))) return false;
  begin_call(input, writer, name, random_letters(options_.id_letters));
  called_ = any_call_ = true;
  if (has_arguments_) {
    pass_arguments(std::exchange(waiting_, {}), writer);
    finish_call(input, writer);
  }
  return true;
}

bool JsonCalls::take_end(Input& input, OutputWriter& writer) {
  if (!called_) return false;
  if (!has_arguments_) {
    pass_arguments("{}", writer);
    finish_call(input, writer);
  }
  return true;
}

void JsonCalls::pass_arguments(std::string_view text, OutputWriter& writer) {
  if (called_)
    writer.add_arguments(text);
  else
    waiting_ += text;
}

void JsonCalls::finish_call(Input& input, OutputWriter& writer) {
  if (called_) end_call(input, writer);
}

}  // namespace pippin::text
