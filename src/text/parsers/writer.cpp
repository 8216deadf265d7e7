#include "text/parsers/writer.h"

#include <algorithm>
#include <utility>

#include "text/parsers/input.h"

namespace pippin::text {

void OutputWriter::say(Kind kind, std::string_view text) {
  section_ = kind;
  if (drop_space_)
    while (!text.empty() && is_space(text.front())) text.remove_prefix(1);
  const auto size =
      text.size() - static_cast<std::size_t>(std::distance(
                        text.rbegin(), std::find_if_not(text.rbegin(), text.rend(), is_space)));
  if (size > 0) {
    add(kind, take_space().append(text.substr(0, size)));
    drop_space_ = at_start_ = false;
  }
  space_ += text.substr(size);
}

std::string OutputWriter::take_space() { return std::exchange(space_, {}); }

void OutputWriter::end_section() {
  space_.clear();
  drop_space_ = at_start_ = true;
}

void OutputWriter::begin_call(std::string name, std::string id) {
  end_call();
  events_.push_back({Kind::call_begin, std::move(name), num_calls_++, std::move(id)});
  arguments_.reset();
  any_arguments_ = is_object_ = false;
  call_open_ = true;
}

JsonScanner::Status OutputWriter::add_arguments(std::string_view text) {
  if (!text.empty() && !any_arguments_) {
    any_arguments_ = true;
    is_object_ = text.front() == '{';  // an array is JSON, too, but no arguments
  }
  for (const char byte : text) arguments_.push(byte);
  add(Kind::call_arguments, text);
  return arguments_.status();
}

void OutputWriter::end_call() {
  if (call_open_ && is_object_ && arguments_.status() == JsonScanner::Status::done)
    events_.push_back({Kind::call_end, "", num_calls_ - 1, ""});
  call_open_ = false;
}

void OutputWriter::finish() {
  if (!space_.empty()) add(section_, take_space());
  end_call();
}

OutputEvents OutputWriter::take() { return std::exchange(events_, {}); }

void OutputWriter::add(Kind kind, std::string_view text) {
  const int call = kind == Kind::call_arguments ? num_calls_ - 1 : 0;
  if (text.empty()) return;
  if (!events_.empty() && events_.back().kind == kind && events_.back().call == call)
    events_.back().text += text;
  else
    events_.push_back({kind, std::string(text), call, ""});
}

}  // namespace pippin::text
