// data: URLs, and base64 without a head. Oracle: what a URL holds, written in base64 again in every spelling, is read back.
#include <algorithm>
#include <string>
#include <vector>

#include "fuzzing.h"
#include "media/data_url.h"

namespace pippin::fuzz {
namespace {

std::string base64(const std::vector<std::uint8_t>& bytes) {
  constexpr std::string_view alphabet =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string out;
  for (std::size_t at = 0; at < bytes.size(); at += 3) {
    const std::size_t count = std::min<std::size_t>(3, bytes.size() - at);
    std::uint32_t group = 0;
    for (std::size_t i = 0; i < 3; ++i) group = group << 8 | (i < count ? bytes[at + i] : 0u);
    for (std::size_t i = 0; i < 4; ++i)
      out += i <= count ? alphabet[group >> (18 - 6 * i) & 63] : '=';
  }
  return out;
}

std::string base64url(std::string text) {
  std::replace(text.begin(), text.end(), '+', '-');
  std::replace(text.begin(), text.end(), '/', '_');
  return text.substr(0, text.find('='));
}

void run(std::string_view url) {
  constexpr std::int64_t most = 1 << 10;
  // As the server reads what has no head (media/fetch).
  const std::string headed = media::is_base64_data(url) ? "data:;base64," + std::string(url) : "";
  const auto bytes = media::decode_data_url(headed.empty() ? url : headed, most);
  require(bytes.size() <= most, "more bytes than are allowed");
  const std::string plain = base64(bytes);
  for (const std::string& text : {plain, base64url(plain)})
    for (const char* head : {"data:;base64,", "data:image/png; base64,", "DATA: a/b ;\tBase64 ,"})
      require(media::decode_data_url(head + text, most) == bytes, "base64 reads another thing",
              url);
}

}  // namespace
}  // namespace pippin::fuzz

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using pippin::Code;
  pippin::fuzz::refused_only_with({Code::invalid_argument, Code::payload_too_large},
                                  [&] { pippin::fuzz::run(pippin::fuzz::text_of(data, size)); });
  return 0;
}
