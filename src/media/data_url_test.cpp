#include "media/data_url.h"

#include <gtest/gtest.h>

#include <optional>
#include <random>

#include "pippin/error.h"

namespace pippin::media {
namespace {

constexpr std::int64_t kPlenty = 1 << 20;

std::string decoded(std::string_view url, std::int64_t max_bytes = kPlenty) {
  const std::vector<std::uint8_t> bytes = decode_data_url(url, max_bytes);
  return {bytes.begin(), bytes.end()};
}

std::optional<Code> error_of(std::string_view url, std::int64_t max_bytes = kPlenty) {
  try {
    decode_data_url(url, max_bytes);
    return std::nullopt;
  } catch (const Error& error) {
    EXPECT_EQ(error.field(), "");
    return error.code();
  }
}

// The definition in RFC 4648, bit by bit.
std::string encode_base64(std::string_view bytes) {
  constexpr char kAlphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string text;
  for (std::size_t bit = 0; bit < bytes.size() * 8; bit += 6) {
    int value = 0;
    for (std::size_t i = bit; i < bit + 6; ++i) {
      const bool set = i / 8 < bytes.size() && (bytes[i / 8] >> (7 - i % 8) & 1);
      value = value * 2 + set;
    }
    text.push_back(kAlphabet[value]);
  }
  while (text.size() % 4 != 0) text.push_back('=');
  return text;
}

TEST(DataUrl, DecodesWhatAnEncoderWrites) {
  std::mt19937 random(4);
  for (int size = 0; size < 100; ++size) {
    std::string bytes;
    for (int i = 0; i < size; ++i) bytes.push_back(static_cast<char>(random()));
    const std::string text = encode_base64(bytes);
    EXPECT_EQ(decoded("data:image/png;base64," + text), bytes);
    EXPECT_EQ(decoded("data:;base64," + text.substr(0, text.find('='))), bytes) << "no padding";
    std::string spaced;
    for (const char c : text) spaced += std::string(1, c) + (random() % 3 ? "" : "\r\n ");
    EXPECT_EQ(decoded("data:image/png;base64," + spaced), bytes);
  }
}

TEST(DataUrl, UnderstandsTheHeadersVariants) {
  EXPECT_EQ(decoded("data:,hello%2C%20world"), "hello, world");
  EXPECT_EQ(decoded("data:text/plain;charset=UTF-8,a+b"), "a+b");
  EXPECT_EQ(decoded("DATA:image/jpeg;charset=utf-8;name=a.jpg;BASE64,aGk="), "hi");
  EXPECT_EQ(decoded("data:image/png;base64,aGk%3D"), "hi");
  EXPECT_EQ(decoded("data:image/png;base64,"), "");
  for (const char* head : {"data:image/png; base64,", "data:image/png;\tbase64 ,",
                           "data:image/png; charset=utf-8; BASE64 ,"})
    EXPECT_EQ(decoded(std::string(head) + "aGk="), "hi") << head;
  EXPECT_EQ(decoded("data:base64,aGk="), "aGk=") << "a type, as RFC 2397 has it";
}

TEST(DataUrl, TellsItsType) {
  for (const char* url : {"data:video/jpeg;base64,", "DATA:Video/JPEG;base64,aGk=",
                          "data: video/jpeg ; q=1 ; base64 ,aGk=", "data:video/jpeg,"})
    EXPECT_TRUE(has_data_type(url, "video/jpeg")) << url;
  for (const char* url : {"data:video/jpegs;base64,", "data:;base64,aGk=", "data:video/jpeg",
                          "http://video/jpeg,", "data:x;video/jpeg,"})
    EXPECT_FALSE(has_data_type(url, "video/jpeg")) << url;
}

TEST(DataUrl, TakesTheUrlAlphabet) {
  const std::string bytes = "\xfb\xff\xbf\xfe";
  EXPECT_EQ(decoded("data:;base64,-_-__g=="), bytes);
  EXPECT_EQ(decoded("data:;base64,+/+//g=="), bytes);
}

TEST(DataUrl, TellsBareBase64) {
  const std::string data = encode_base64(std::string(60, 'x'));
  EXPECT_TRUE(is_base64_data(data));
  EXPECT_FALSE(is_base64_data("cats/picture"));
  EXPECT_FALSE(is_base64_data("file:" + data));
  EXPECT_FALSE(is_base64_data(data + ".png"));
  for (const char* whole : {"R0lGODlhAQABAAAAACw=", "UklGRgAAAABXRUJQ",
                            "iVBORw0KGgo=", "/9j/2wBDAAMCAgI=", "AAAAGGZ0eXA="})
    EXPECT_TRUE(is_base64_data(whole)) << whole;
}

TEST(DataUrl, SaysWhatIsWrong) {
  for (const char* url : {"data:image/png;base64", "data:image/png;base64,a",
                          "data:image/png;base64,aGk*", "data:image/png;base64,aG=k",
                          "data:image/png;base64,aGk==", "data:image/png;base64,aGkh=", "data:,%4",
                          "data:,%zz", "http://x/"}) {
    EXPECT_EQ(error_of(url), Code::invalid_argument) << url;
  }
  try {
    decode_data_url("data:image/png;base64,aGlo!GVs", kPlenty);
    FAIL() << "expected an Error";
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find("character 4"), std::string::npos) << error.what();
  }
}

TEST(DataUrl, HoldsTheLimitExactly) {
  for (const std::int64_t size : {1, 2, 3, 4, 30, 31, 32}) {
    const std::string bytes(static_cast<std::size_t>(size), 'x');
    const std::string url = "data:;base64," + encode_base64(bytes);
    EXPECT_EQ(decoded(url, size), bytes);
    EXPECT_EQ(error_of(url, size - 1), Code::payload_too_large) << size;
    EXPECT_EQ(decoded("data:," + bytes, size), bytes);
    EXPECT_EQ(error_of("data:," + bytes, size - 1), Code::payload_too_large);
  }
  const std::string spaces(1000, ' ');
  EXPECT_EQ(decoded("data:;base64,aGk" + spaces + "=", 2), "hi");
  EXPECT_EQ(error_of("data:;base64," + std::string(1000, 'A'), 2), Code::payload_too_large);
}

}  // namespace
}  // namespace pippin::media
