#include "text/parsers/writer.h"

#include <algorithm>
#include <utility>

namespace pippin::text {
namespace {

// No format has more before its markup. A model that goes on with nothing else must not be silent for ever.
constexpr std::size_t max_waiting_space = 64;

}  // namespace

void OutputWriter::say(Kind kind, std::string_view text) {
  section_ = kind;
  if (drop_space_)
    while (!text.empty() && is_space(text.front())) text.remove_prefix(1);
  const auto size =
      text.size() - static_cast<std::size_t>(std::distance(
                        text.rbegin(), std::find_if_not(text.rbegin(), text.rend(), is_space)));
  if (size > 0) {
    add(kind, take_space().append(text.substr(0, size)), text.size() - size);
    drop_space_ = at_start_ = false;
  }
  space_ += text.substr(size);
  if (at_start_ || space_.size() <= max_waiting_space) return;
  const auto said = space_.substr(0, space_.size() - max_waiting_space);
  space_.erase(0, said.size());
  add(kind, said, space_.size());
}

void OutputWriter::say_space() {
  if (!space_.empty()) add(section_, take_space());
}

std::string OutputWriter::take_space() { return std::exchange(space_, {}); }

void OutputWriter::end_section() {
  space_.clear();
  drop_space_ = at_start_ = true;
}

void OutputWriter::begin_call(std::string name, std::string id) {
  end_call();
  events_.push_back({Kind::call_begin, std::move(name), num_calls_++, std::move(id), unread()});
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
    events_.push_back({Kind::call_end, "", num_calls_ - 1, "", unread()});
  call_open_ = false;
}

void OutputWriter::finish() {
  say_space();
  end_call();
}

OutputEvents OutputWriter::take() { return std::exchange(events_, {}); }

void OutputWriter::add(Kind kind, std::string_view text, std::size_t space) {
  const int call = kind == Kind::call_arguments ? num_calls_ - 1 : 0;
  if (text.empty()) return;
  if (events_.empty() || events_.back().kind != kind || events_.back().call != call)
    events_.push_back({kind, "", call, "", 0});
  events_.back().text += text;
  events_.back().behind = unread() + space;
}

}  // namespace pippin::text
