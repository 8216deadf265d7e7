#include "text/parsers/channels.h"

#include "text/parsers/input.h"

namespace pippin::text::channels {
namespace {

constexpr std::string_view recipient = "to=";

std::string_view word_behind(std::string_view text, std::string_view tag) {
  const auto at = text.find(tag);
  if (at == std::string_view::npos) return {};
  text = trimmed(text.substr(at + tag.size()));
  return text.substr(0, text.find_first_of(" \n\t\r<"));
}

}  // namespace

const std::vector<std::string_view>& marks() {
  static const std::vector<std::string_view> all{
      start, channel, message, "<|end|>", "<|call|>", "<|return|>", "<|constrain|>"};
  return all;
}

const std::vector<std::string_view>& end_marks() {
  static const std::vector<std::string_view> ends{"<|call|>", "<|return|>"};
  return ends;
}

Header read_header(std::string_view header) {
  return {word_behind(header, channel), word_behind(header, recipient)};
}

OpenMessage open_message(std::string_view prompt) {
  const auto at = prompt.rfind(start);
  if (at == std::string_view::npos) return {"", prompt.ends_with(message)};
  const auto opened = prompt.substr(at + start.size());
  const auto body = opened.find(message);
  if (body == std::string_view::npos) return {opened, false};
  return {opened.substr(0, body), true, opened.substr(body + message.size())};
}

}  // namespace pippin::text::channels
