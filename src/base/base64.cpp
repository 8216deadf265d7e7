#include "base/base64.h"

#include <algorithm>
#include <array>
#include <string>

#include "pippin/error.h"

namespace pippin {
namespace {

[[noreturn]] void refuse(const std::string& why) {
  throw Error(Code::invalid_argument, "invalid base64: " + why);
}

void check_size(std::size_t size, std::int64_t max_bytes) {
  if (size > static_cast<std::size_t>(max_bytes)) {
    throw Error(Code::payload_too_large, "at most " + std::to_string(max_bytes) +
                                             " bytes are allowed, got " + std::to_string(size));
  }
}

constexpr std::uint8_t kSpace = 64, kPadding = 65, kInvalid = 66;

// The value 0..63 of each character, or what else it is.
constexpr std::array<std::uint8_t, 256> kBase64 = [] {
  constexpr std::string_view kAlphabet =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::array<std::uint8_t, 256> table{};
  table.fill(kInvalid);
  for (std::size_t i = 0; i < kAlphabet.size(); ++i) {
    table[static_cast<std::uint8_t>(kAlphabet[i])] = static_cast<std::uint8_t>(i);
  }
  table['-'] = 62;  // base64url, RFC 4648 section 5
  table['_'] = 63;
  for (const char c : {' ', '\t', '\n', '\r', '\f'}) table[static_cast<std::uint8_t>(c)] = kSpace;
  table['='] = kPadding;
  return table;
}();

// Decodes whole groups of four plain characters, the common case, as fast as it goes; advances `out`
// and returns how many characters it took.
std::size_t decode_groups(std::string_view text, std::uint8_t*& out) {
  std::size_t at = 0;
  for (; at + 4 <= text.size(); at += 4) {
    std::uint32_t group = 0;
    std::uint32_t kinds = 0;
    for (std::size_t i = 0; i < 4; ++i) {
      const std::uint8_t value = kBase64[static_cast<std::uint8_t>(text[at + i])];
      group = group << 6 | value;
      kinds |= value;
    }
    if (kinds >= 64) break;
    *out++ = static_cast<std::uint8_t>(group >> 16);
    *out++ = static_cast<std::uint8_t>(group >> 8);
    *out++ = static_cast<std::uint8_t>(group);
  }
  return at;
}

}  // namespace

bool is_base64(char c) { return kBase64[static_cast<std::uint8_t>(c)] != kInvalid; }

std::vector<std::uint8_t> decode_base64(std::string_view text, std::int64_t max_bytes) {
  const std::size_t too_long = static_cast<std::size_t>(max_bytes) / 3 * 4 + 8;
  if (text.size() > too_long) {  // too much, or full of white space
    const auto is_data = [](char c) { return kBase64[static_cast<std::uint8_t>(c)] < 64; };
    check_size(std::count_if(text.begin(), text.end(), is_data) * std::size_t{3} / 4, max_bytes);
  }
  std::vector<std::uint8_t> bytes(std::min(text.size(), too_long) / 4 * 3 + 3);
  std::uint8_t* out = bytes.data();
  std::uint32_t bits = 0;
  int num_characters = 0;  // of the current group of four
  int num_padding = 0;
  for (std::size_t at = 0; at < text.size();) {
    if (num_characters == 0 && num_padding == 0) {
      at += decode_groups(text.substr(at), out);
      if (at == text.size()) break;
    }
    const std::uint8_t value = kBase64[static_cast<std::uint8_t>(text[at])];
    if (value == kInvalid) refuse("character " + std::to_string(at) + " of the data");
    if (value < 64 && num_padding > 0) refuse("data after the padding");
    if (value == kPadding) ++num_padding;
    if (value < 64) {
      bits = bits << 6 | value;
      if (++num_characters > 1) {
        const int spare = 6 - 2 * (num_characters - 1);  // bits that belong to the next byte
        *out++ = static_cast<std::uint8_t>(bits >> spare);
      }
      num_characters %= 4;
    }
    ++at;
  }
  const int wanted = num_characters == 0 ? 0 : 4 - num_characters;
  if (num_characters == 1) refuse("the data is cut short");
  if (num_padding != 0 && num_padding != wanted) refuse("wrong padding");
  bytes.resize(static_cast<std::size_t>(out - bytes.data()));
  check_size(bytes.size(), max_bytes);
  return bytes;
}

}  // namespace pippin
