#include "server/schema/utf8.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <vector>

namespace pippin::server {
namespace {

std::string encode(std::uint32_t c) {
  if (c < 0x80) return {static_cast<char>(c)};
  if (c < 0x800) return {static_cast<char>(0xC0 | c >> 6), static_cast<char>(0x80 | (c & 63))};
  if (c < 0x10000)
    return {static_cast<char>(0xE0 | c >> 12), static_cast<char>(0x80 | (c >> 6 & 63)),
            static_cast<char>(0x80 | (c & 63))};
  return {static_cast<char>(0xF0 | c >> 18), static_cast<char>(0x80 | (c >> 12 & 63)),
          static_cast<char>(0x80 | (c >> 6 & 63)), static_cast<char>(0x80 | (c & 63))};
}

TEST(Utf8, KeepsEveryCharacterAndOnlyThose) {
  for (std::uint32_t c = 0; c < 0x120000; ++c) {
    const std::string text = encode(c);
    const bool character = c < 0x110000 && (c < 0xD800 || c > 0xDFFF);
    ASSERT_EQ(valid_utf8(text) == text, character) << std::hex << c;
  }
}

TEST(Utf8, ReplacesEachStrayByte) {
  const std::string mark = "\xEF\xBF\xBD";
  EXPECT_EQ(valid_utf8("a\xFFz"), "a" + mark + "z");
  EXPECT_EQ(valid_utf8("\xC0\x80"), mark + mark);             // overlong NUL
  EXPECT_EQ(valid_utf8("\xE0\x80\xAF"), mark + mark + mark);  // overlong slash
  EXPECT_EQ(valid_utf8("h\xC3"), "h" + mark);                 // cut off
  EXPECT_EQ(valid_utf8("\xF0\x9F\x98"), mark + mark + mark);
}

TEST(Utf8, ExcerptsAreShortAndWhole) {
  EXPECT_EQ(excerpt("short"), "short");
  EXPECT_EQ(excerpt(std::string(1000, 'a')), std::string(100, 'a') + "...");
  const std::string accents(99, 'a');
  EXPECT_EQ(excerpt(accents + "\xC3\xA9 and more"), accents + "...");
}

}  // namespace
}  // namespace pippin::server
