#include "media/data_url.h"

#include <algorithm>

#include "base/base64.h"
#include "media/url.h"
#include "pippin/error.h"

namespace pippin::media {
namespace {

[[noreturn]] void refuse(const std::string& why) {
  throw Error(Code::invalid_argument, "[data_url] " + why);
}

void check_size(std::size_t size, std::int64_t max_bytes) {
  if (size > static_cast<std::size_t>(max_bytes)) {
    throw Error(Code::payload_too_large, "[data_url] at most " + std::to_string(max_bytes) +
                                             " bytes are allowed, got " + std::to_string(size));
  }
}

constexpr std::string_view kScheme = "data:";

bool equals_ignoring_case(std::string_view text, std::string_view other) {
  return text.size() == other.size() && starts_with_ignoring_case(text, other);
}

std::string_view trimmed(std::string_view text) {
  constexpr std::string_view kBlanks = " \t";
  const std::size_t begin = text.find_first_not_of(kBlanks);
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(kBlanks) + 1 - begin);
}

// Its errors name what was being read.
std::vector<std::uint8_t> decode_data(std::string_view text, std::int64_t max_bytes) {
  try {
    return decode_base64(text, max_bytes);
  } catch (const Error& error) {
    throw Error(error.code(), "[data_url] " + std::string(error.what()));
  }
}

}  // namespace

bool is_base64_data(std::string_view text) {
  constexpr std::size_t kShortest =
      64;  // shorter ones may be names of files, but for those that begin as a format's files do
  constexpr std::string_view kBeginnings[] = {"R0lGOD", "UklGR", "iVBORw0KGgo", "/9j/", "AAAA"};
  const bool is_known = std::any_of(std::begin(kBeginnings), std::end(kBeginnings),
                                    [&](auto beginning) { return text.starts_with(beginning); });
  return (is_known || text.size() >= kShortest) &&
         std::all_of(text.begin(), text.end(), [](char c) { return is_base64(c); });
}

DataUrl parse_data_url(std::string_view url) {
  if (!starts_with_ignoring_case(url, kScheme)) refuse("expected 'data:'");
  const std::size_t comma = url.find(',');
  if (comma == std::string_view::npos) refuse("a comma must stand before the data");
  const std::string_view head = url.substr(kScheme.size(), comma - kScheme.size());
  const std::size_t semicolon = head.rfind(';');
  const auto last = semicolon == std::string_view::npos ? std::string_view()
                                                        : trimmed(head.substr(semicolon + 1));
  return {trimmed(head.substr(0, head.find(';'))), equals_ignoring_case(last, "base64"),
          url.substr(comma + 1)};
}

bool has_data_type(std::string_view url, std::string_view type) {
  return starts_with_ignoring_case(url, kScheme) && url.find(',') != std::string_view::npos &&
         equals_ignoring_case(parse_data_url(url).type, type);
}

std::vector<std::uint8_t> decode_data_url(std::string_view url, std::int64_t max_bytes) {
  const auto [type, is_base64, data] = parse_data_url(url);
  const bool is_escaped = data.find('%') != std::string_view::npos;
  if (is_base64 && !is_escaped) return decode_data(data, max_bytes);
  check_size(data.size() / 4, max_bytes);  // a byte takes at most four escaped characters
  const std::string plain = percent_decode(data);
  if (is_base64) return decode_data(plain, max_bytes);
  check_size(plain.size(), max_bytes);
  return {plain.begin(), plain.end()};
}

}  // namespace pippin::media
