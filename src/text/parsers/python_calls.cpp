#include "text/parsers/python_calls.h"

namespace pippin::text {
namespace {

using Progress = CallReader::Progress;

}  // namespace

bool in_python_name(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
         std::string_view("_.-:/").find(c) != std::string_view::npos;
}

void PythonCalls::begin(std::string_view) {
  state_ = State::between;
  in_list_ = false;
}

Progress PythonCalls::read(Input& input, OutputWriter& writer) {
  for (;;) {
    const auto before = state_;
    const auto progress = step(input, writer);
    if (progress != Progress::more || state_ == before) return progress;
  }
}

bool PythonCalls::surely_calls(std::string_view text) const {
  auto name = trimmed(text);
  if (name.starts_with('[')) name = trimmed(name.substr(1));
  return tools_->any_begins(name);
}

Progress PythonCalls::step(Input& input, OutputWriter& writer) {
  switch (state_) {
    case State::between:
      return read_between(input);
    case State::name:
      return read_name(input, writer);
    case State::key:
      return read_key(input, writer);
    case State::behind_key:
      return read_behind_key(input, writer);
    case State::value:
      return read_value(input, writer);
    case State::behind_value:
      return read_behind_value(input, writer);
    case State::behind:
      return read_behind(input);
  }
  return Progress::broken;
}

Progress PythonCalls::read_between(Input& input) {
  input.skip_space();
  if (input.empty()) return Progress::more;
  if (input.front() == '[' && !in_list_) {
    input.take_byte();
    in_list_ = true;
    return read_between(input);
  }
  word_.clear();
  state_ = State::name;
  return Progress::more;
}

Progress PythonCalls::read_name(Input& input, OutputWriter& writer) {
  while (!input.empty() && in_python_name(input.front())) word_ += input.take_byte();
  if (input.empty()) return Progress::more;
  if (input.front() != '(' || !tools_->has(word_)) return Progress::broken;
  input.take_byte();
  begin_call(input, writer, word_);
  writer.add_arguments("{");
  first_ = true;
  word_.clear();
  state_ = State::key;
  return Progress::more;
}

Progress PythonCalls::read_key(Input& input, OutputWriter& writer) {
  if (word_.empty()) input.skip_space();
  while (!input.empty() && in_python_name(input.front())) word_ += input.take_byte();
  if (input.empty()) return cut_key(input, writer);
  if (word_.empty() && input.front() == ')') {
    close_call(input, writer);
    return Progress::more;
  }
  state_ = State::behind_key;
  return Progress::more;
}

Progress PythonCalls::read_behind_key(Input& input, OutputWriter& writer) {
  input.skip_space();
  if (input.empty()) return cut_key(input, writer);
  if (input.front() != '=' || word_.empty()) {
    writer.add_arguments(word_);
    return Progress::broken;
  }
  input.take_byte();
  std::string json = first_ ? "\"" : ", \"";
  append_escaped(json, word_);
  writer.add_arguments(json + "\": ");
  first_ = false;
  value_ = LiteralReader(python_literals);
  state_ = State::value;
  return Progress::more;
}

Progress PythonCalls::cut_key(const Input& input, OutputWriter& writer) {
  if (input.closed()) writer.add_arguments(word_);
  return Progress::more;
}

Progress PythonCalls::read_value(Input& input, OutputWriter& writer) {
  std::string json;
  const auto progress = value_.read(input, json);
  writer.add_arguments(json);
  if (progress == LiteralReader::Progress::broken) return Progress::broken;
  if (progress == LiteralReader::Progress::done) state_ = State::behind_value;
  return Progress::more;
}

Progress PythonCalls::read_behind_value(Input& input, OutputWriter& writer) {
  input.skip_space();
  if (input.empty()) return Progress::more;
  if (input.front() == ')') {
    close_call(input, writer);
    return Progress::more;
  }
  if (input.front() != ',') return Progress::broken;
  input.take_byte();
  word_.clear();
  state_ = State::key;
  return Progress::more;
}

void PythonCalls::close_call(Input& input, OutputWriter& writer) {
  input.take_byte();
  writer.add_arguments("}");
  end_call(input, writer);
  state_ = State::behind;
}

// The next call, or the end.
Progress PythonCalls::read_behind(Input& input) {
  const std::string_view separators = in_list_ ? " \n\t\r," : " \n\t\r;";
  while (!input.empty() && separators.find(input.front()) != std::string_view::npos)
    input.take_byte();
  if (input.empty()) return Progress::more;
  if (input.front() == ']' && in_list_) {
    input.take_byte();
    in_list_ = false;
    return read_behind(input);
  }
  const auto end = tags().end;
  const auto match = end.empty() ? Input::Match::no : input.at(end);
  if (match == Input::Match::maybe) return Progress::more;
  if (match == Input::Match::yes) {
    input.take(end.size());
    return Progress::done;
  }
  if (!in_list_ && !in_python_name(input.front()) && input.front() != '[') return Progress::broken;
  state_ = State::between;
  return Progress::more;
}

}  // namespace pippin::text
