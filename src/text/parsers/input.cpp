#include "text/parsers/input.h"

#include <algorithm>
#include <utility>

namespace pippin::text {

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && is_space(text.front())) text.remove_prefix(1);
  while (!text.empty() && is_space(text.back())) text.remove_suffix(1);
  return text;
}

void Input::append(std::string_view text) {
  // What was taken goes before the rest grows, so that bytes are moved once at most.
  if (at_ > 0 && at_ >= bytes_.size() / 2) {
    bytes_.erase(0, at_);
    at_ = 0;
  }
  bytes_ += text;
}

Input::Match Input::at(std::string_view tag) const {
  if (rest().starts_with(tag)) return Match::yes;
  return !closed_ && tag.starts_with(rest()) ? Match::maybe : Match::no;
}

Input::Found Input::find(std::span<const std::string_view> tags) const {
  const auto text = rest();
  Found found{text.size(), std::nullopt};
  for (std::size_t i = 0; i < tags.size(); ++i) {
    const auto begin = text.substr(0, found.before + tags[i].size()).find(tags[i]);
    if (begin >= found.before) continue;
    found = {begin, i};
  }
  if (found.tag || closed_) return found;
  for (const auto tag : tags)
    for (auto size = std::min(text.size(), tag.size() - 1); size > text.size() - found.before;
         --size)
      if (text.ends_with(tag.substr(0, size))) found.before = text.size() - size;
  return found;
}

std::string Input::take(std::size_t size) {
  std::string text(rest().substr(0, size));
  advance(size);
  return text;
}

void Input::move(std::size_t size, std::string& text, std::size_t limit) {
  const auto room = limit + 1 - std::min(text.size(), limit + 1);
  text += take(std::min(size, room));
}

char Input::take_byte() {
  const char byte = front();
  advance(1);
  return byte;
}

void Input::skip_space() {
  while (!empty() && is_space(front())) advance(1);
}

void Input::advance(std::size_t size) {
  if (recorded_) recorded_->append(bytes_, at_, size);
  at_ += size;
}

void Input::record(std::string prefix) { recorded_ = std::move(prefix); }

std::string Input::stop_recording() {
  std::string text = recorded_.value_or("");
  recorded_.reset();
  return text;
}

}  // namespace pippin::text
