// data: URLs. Oracle: what a URL holds, written in base64 again, is read back.
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

void run(std::string_view url) {
  constexpr std::int64_t most = 1 << 10;
  const auto bytes = media::decode_data_url(url, most);
  require(bytes.size() <= most, "more bytes than are allowed");
  const auto again = media::decode_data_url("data:;base64," + base64(bytes), most);
  require(again == bytes, "base64 reads another thing", url);
}

}  // namespace
}  // namespace pippin::fuzz

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using pippin::Code;
  pippin::fuzz::refused_only_with({Code::invalid_argument, Code::payload_too_large},
                                  [&] { pippin::fuzz::run(pippin::fuzz::text_of(data, size)); });
  return 0;
}
