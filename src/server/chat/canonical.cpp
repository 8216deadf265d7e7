#include "server/chat/canonical.h"

#include <algorithm>
#include <cstddef>
#include <iterator>
#include <string>
#include <string_view>

namespace pippin::server {
namespace {

constexpr std::string_view word_characters =
    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-.";

// Takes `prefix` off the front of `text`, if it is there.
bool take(std::string_view& text, std::string_view prefix) {
  if (!text.starts_with(prefix)) return false;
  text.remove_prefix(prefix.size());
  return true;
}

// The same with as many characters of words as there are.
std::string_view take_word(std::string_view& text) {
  const auto word = text.substr(0, text.find_first_not_of(word_characters));
  text.remove_prefix(word.size());
  return word;
}

// " name=value;": the name, or "" where there is no such field.
std::string_view take_field(std::string_view& text) {
  if (!take(text, " ")) return {};
  const auto name = take_word(text);
  return take(text, "=") && !take_word(text).empty() && take(text, ";") ? name : "";
}

// Length of Claude Code's attribution at the front of `text` without its line break; 0 where it is not there.
std::size_t billing_header(std::string_view text) {
  std::string_view rest = text;
  if (!take(rest, "x-anthropic-billing-header:") || take_field(rest) != "cc_version") return 0;
  while (!rest.empty() && rest.front() != '\n') {
    const auto name = take_field(rest);
    if (name != "cch" && !name.starts_with("cc_")) return 0;
  }
  return text.size() - rest.size();
}

// The length of a volatile line at the front of `text` with the line breaks after it; 0 where there is none.
std::size_t volatile_line(std::string_view text) {
  const auto line = billing_header(text);
  return line == 0 ? 0 : std::min(text.find_first_not_of('\n', line), text.size());
}

int clean(Message& message) {
  int removed = 0;
  auto part = message.content.begin();
  while (part != message.content.end() && !part->image) {
    const auto size = volatile_line(part->text);
    if (size == 0) break;
    ++removed;
    part->text.erase(0, size);
    if (!part->text.empty()) break;
    part = message.content.erase(part);
  }
  return removed;
}

}  // namespace

int remove_volatile_lines(std::vector<Message>& messages) {
  int removed = 0;
  for (auto message = messages.begin(); message != messages.end() && message->role == "system";) {
    const int lines = clean(*message);
    removed += lines;
    const bool gone = lines > 0 && message->content.empty() && messages.size() > 1;
    message = gone ? messages.erase(message) : std::next(message);
  }
  return removed;
}

}  // namespace pippin::server
