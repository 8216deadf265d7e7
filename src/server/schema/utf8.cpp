#include "server/schema/utf8.h"

#include <cstdint>

namespace pippin::server {
namespace {

// Bytes of the well-formed character at the front of `text`; 0 where there is none (Unicode 15,
// table 3-7).
std::size_t character_size(std::string_view text) {
  const auto byte = [&](std::size_t i) {
    return i < text.size() ? static_cast<std::uint8_t>(text[i]) : std::uint8_t{0};
  };
  const auto follows = [&](std::size_t i) { return (byte(i) & 0xC0) == 0x80; };
  const std::uint8_t first = byte(0);
  const std::uint8_t second = byte(1);
  if (first < 0x80) return 1;
  if (first < 0xC2) return 0;
  if (first < 0xE0) return follows(1) ? 2 : 0;
  if (first < 0xF0) {
    const bool overlong = first == 0xE0 && second < 0xA0;
    const bool surrogate = first == 0xED && second > 0x9F;
    return follows(1) && follows(2) && !overlong && !surrogate ? 3 : 0;
  }
  const bool in_range =
      first < 0xF5 && !(first == 0xF0 && second < 0x90) && !(first == 0xF4 && second > 0x8F);
  return in_range && follows(1) && follows(2) && follows(3) ? 4 : 0;
}

}  // namespace

std::string valid_utf8(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  while (!text.empty()) {
    const std::size_t size = character_size(text);
    if (size == 0)
      out += "\xEF\xBF\xBD";
    else
      out += text.substr(0, size);
    text.remove_prefix(size == 0 ? 1 : size);
  }
  return out;
}

std::string without_nul(std::string_view text) {
  std::string out;
  for (const char c : text) c == '\0' ? out += "\\u0000" : out += c;
  return out;
}

std::string excerpt(std::string_view text) {
  constexpr std::size_t longest = 100;
  if (text.size() <= longest) return without_nul(valid_utf8(text));
  std::size_t end = longest;
  while (end > 0 && (static_cast<std::uint8_t>(text[end]) & 0xC0) == 0x80)
    --end;  // not inside a character
  return without_nul(valid_utf8(text.substr(0, end))) + "...";
}

}  // namespace pippin::server
