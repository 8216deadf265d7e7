// What is held back is the longest tail that begins some stop string, so a match that a later piece
// completes lies wholly in the held text and that piece, and each push searches just these.
#include "text/stop_strings.h"

#include <algorithm>
#include <utility>

namespace pippin::text {

StopStrings::StopStrings(std::vector<std::string> stops, bool include)
    : stops_(std::move(stops)), include_(include) {}

std::string StopStrings::push(std::string_view text) {
  if (matched_) return {};
  held_ += text;
  if (const auto end = find_match()) {
    held_.resize(*end);
    return std::exchange(held_, {});
  }
  std::string safe = held_.substr(0, held_.size() - open_tail());
  held_.erase(0, safe.size());
  return safe;
}

std::string StopStrings::pass(std::string_view text) {
  if (matched_) return {};
  return std::exchange(held_, {}).append(text);
}

std::string StopStrings::finish() { return std::exchange(held_, {}); }

std::optional<std::size_t> StopStrings::find_match() {
  std::size_t first_begin = 0;
  std::size_t first_end = std::string::npos;
  for (std::size_t i = 0; i < stops_.size(); ++i) {
    const auto begin = stops_[i].empty() ? std::string::npos : held_.find(stops_[i]);
    if (begin == std::string::npos) continue;
    const auto end = begin + stops_[i].size();
    if (end > first_end || (end == first_end && begin >= first_begin)) continue;
    first_begin = begin;
    first_end = end;
    matched_ = i;
  }
  if (!matched_) return {};
  return include_ ? first_end : first_begin;
}

std::size_t StopStrings::open_tail() const {
  std::size_t longest = 0;
  for (const auto& stop : stops_) {
    const std::size_t limit = std::min(held_.size(), stop.empty() ? 0 : stop.size() - 1);
    for (std::size_t size = limit; size > longest; --size) {
      if (held_.ends_with(std::string_view(stop).substr(0, size))) longest = size;
    }
  }
  return longest;
}

}  // namespace pippin::text
