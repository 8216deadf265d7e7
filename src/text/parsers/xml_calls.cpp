#include "text/parsers/xml_calls.h"

#include <array>
#include <span>

#include "text/parsers/literals.h"
#include "text/parsers/named_calls.h"

namespace pippin::text {
namespace {

using Progress = CallReader::Progress;

constexpr std::size_t max_name_bytes = 256;

std::string escaped(std::string_view text) {
  std::string json;
  append_escaped(json, text);
  return json;
}

}  // namespace

void XmlCalls::begin(std::string_view tag) {
  bare_call_ = tag == layout_.call;
  state_ = bare_call_ || layout_.call.empty() ? State::name : State::between;
  name_.clear();
}

Progress XmlCalls::read(Input& input, OutputWriter& writer) {
  for (;;) {
    const auto before = state_;
    const auto progress = step(input, writer);
    if (progress != Progress::more || state_ == before) return progress;
  }
}

Progress XmlCalls::step(Input& input, OutputWriter& writer) {
  switch (state_) {
    case State::between:
      return read_between(input);
    case State::name:
      return read_name(input, writer);
    case State::head:
      return read_head(input);
    case State::parameters:
      return read_parameters(input, writer);
    case State::object:
      return read_object(input, writer);
    case State::key:
      return read_key(input, writer);
    case State::type:
      return read_type(input);
    case State::before_value:
      return read_before_value(input);
    case State::value:
      return read_value(input, writer);
  }
  return Progress::broken;
}

Progress XmlCalls::read_between(Input& input) {
  input.skip_space();
  if (input.empty()) return Progress::more;
  const auto end = input.at(tags().end);
  if (end == Input::Match::yes) {
    input.take(tags().end.size());
    return Progress::done;
  }
  const auto call = input.at(layout_.call);
  if (call == Input::Match::yes && !layout_.call.empty()) {
    input.take(layout_.call.size());
    name_.clear();
    state_ = State::name;
    return Progress::more;
  }
  return call == Input::Match::maybe || end == Input::Match::maybe ? Progress::more
                                                                   : Progress::broken;
}

Progress XmlCalls::read_name(Input& input, OutputWriter& writer) {
  if (trimmed(name_).empty()) input.skip_space();
  const auto found = input.find(layout_.name_end);
  input.move(found.before, name_, max_name_bytes);
  if (name_.size() > max_name_bytes) return Progress::broken;
  if (!found.tag) return Progress::more;
  name_ = trimmed(name_);
  if (!is_tool_name(name_)) return Progress::broken;
  if (!layout_.name_end_stays) input.take(layout_.name_end[*found.tag].size());
  begin_call(input, writer, name_);
  writer.add_arguments("{");
  first_ = true;
  state_ = layout_.head_end.empty() ? State::parameters : State::head;
  return Progress::more;
}

Progress XmlCalls::read_head(Input& input) {
  const auto found = input.find({&layout_.head_end, 1});
  input.take(found.before);
  if (!found.tag) return Progress::more;
  input.take(layout_.head_end.size());
  state_ = State::parameters;
  return Progress::more;
}

Progress XmlCalls::read_parameters(Input& input, OutputWriter& writer) {
  input.skip_space();
  if (input.empty()) return Progress::more;
  const auto key = input.at(layout_.key);
  const auto end = input.at(layout_.call_end);
  const bool may_be_object = first_ && !layout_.object.empty();
  const auto object = may_be_object ? input.at(layout_.object) : Input::Match::no;
  if (object == Input::Match::yes) {
    input.take(layout_.object.size());
    value_.clear();
    state_ = State::object;
  } else if (key == Input::Match::yes) {
    input.take(layout_.key.size());
    key_.clear();
    state_ = State::key;
  } else if (end == Input::Match::yes) {
    input.take(layout_.call_end.size());
    writer.add_arguments("}");
    end_call(input, writer);
    if (layout_.call_end == tags().end) return Progress::done;
    state_ = State::between;
  } else if (key == Input::Match::no && end == Input::Match::no && object == Input::Match::no) {
    return Progress::broken;
  }
  return Progress::more;
}

// The object's own brackets are those of the arguments, of which the first has been passed on and the last comes with the call's end.
Progress XmlCalls::read_object(Input& input, OutputWriter& writer) {
  const auto found = input.find({&layout_.object_end, 1});
  value_ += input.take(found.before);
  if (!found.tag && !input.closed()) return Progress::more;
  const auto object = trimmed(value_);
  if (!object.starts_with('{') && !object.empty()) return Progress::broken;
  const auto inner = object.substr(object.empty() ? 0 : 1);
  if (!found.tag) {  // cut off
    writer.add_arguments(inner);
    return Progress::more;
  }
  if (!inner.ends_with('}')) return Progress::broken;
  input.take(layout_.object_end.size());
  writer.add_arguments(inner.substr(0, inner.size() - 1));
  first_ = false;
  state_ = State::parameters;
  return Progress::more;
}

Progress XmlCalls::read_key(Input& input, OutputWriter& writer) {
  const std::array<std::string_view, 2> ends{layout_.key_end, layout_.type};
  const auto found = input.find(std::span(ends).first(layout_.type.empty() ? 1 : 2));
  key_ += input.take(found.before);
  if (!found.tag && !input.closed()) return Progress::more;
  key_ = trimmed(key_);
  writer.add_arguments((first_ ? "\"" : ", \"") + escaped(key_));
  if (!found.tag) return Progress::more;
  input.take(ends[*found.tag].size());
  writer.add_arguments("\": ");
  types_ = tools_->types_of(name_, key_);
  first_ = false;
  value_begun_ = false;
  value_.clear();
  type_.clear();
  state_ = *found.tag == 1 ? State::type : State::before_value;
  return Progress::more;
}

Progress XmlCalls::read_type(Input& input) {
  const auto found = input.find({&layout_.type_end, 1});
  input.move(found.before, type_, max_name_bytes);
  if (type_.size() > max_name_bytes) return Progress::broken;
  if (!found.tag) return Progress::more;
  input.take(layout_.type_end.size());
  const bool is_text = type_ == layout_.text_type;
  types_ = {is_text, !is_text, !is_text, !is_text, !is_text, !is_text};
  state_ = State::before_value;
  return Progress::more;
}

Progress XmlCalls::read_before_value(Input& input) {
  if (!layout_.value.empty()) {
    input.skip_space();
    if (input.empty()) return Progress::more;
    const auto match = input.at(layout_.value);
    if (match != Input::Match::yes)
      return match == Input::Match::maybe ? Progress::more : Progress::broken;
    input.take(layout_.value.size());
  }
  if (layout_.lines_around_value) {
    if (input.empty()) return Progress::more;
    if (input.front() == '\n') input.take_byte();
  }
  value_end_ = layout_.value_end;
  if (!layout_.quote.empty()) {
    const auto quote = input.at(layout_.quote);
    if (quote == Input::Match::maybe) return Progress::more;
    if (quote == Input::Match::yes) {
      input.take(layout_.quote.size());
      value_end_ = layout_.quote_end;
    }
  }
  state_ = State::value;
  return Progress::more;
}

Progress XmlCalls::read_value(Input& input, OutputWriter& writer) {
  begin_value(writer);
  const auto found = input.find({&value_end_, 1});
  auto size = found.before;
  // A line break waits, since it may be the last.
  const bool line = layout_.lines_around_value && size > 0 && input.rest()[size - 1] == '\n' &&
                    (found.tag || !input.closed());
  if (line) --size;
  if (types_.only_string())
    writer.add_arguments(escaped(input.take(size)));
  else
    value_ += input.take(size);
  if (!found.tag && input.closed()) writer.add_arguments(value_);  // cut off
  if (!found.tag) return Progress::more;
  input.take((line ? 1 : 0) + value_end_.size());
  end_value(writer);
  state_ = State::parameters;
  return Progress::more;
}

void XmlCalls::begin_value(OutputWriter& writer) {
  if (value_begun_) return;
  value_begun_ = true;
  if (types_.only_string()) writer.add_arguments("\"");
}

void XmlCalls::end_value(OutputWriter& writer) {
  writer.add_arguments(types_.only_string() ? "\"" : json_of(value_, types_));
}

}  // namespace pippin::text
