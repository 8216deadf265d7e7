#include "hub/url.h"

#include <curl/curl.h>

#include <cctype>
#include <memory>

namespace pippin::hub {
namespace {

struct Free {
  void operator()(CURLU* url) const { curl_url_cleanup(url); }
  void operator()(char* text) const { curl_free(text); }
};
using Url = std::unique_ptr<CURLU, Free>;

std::string part_of(const Url& url, CURLUPart part, unsigned flags = 0) {
  char* text = nullptr;
  if (curl_url_get(url.get(), part, &text, flags) != CURLUE_OK) return "";
  return std::unique_ptr<char, Free>(text).get();
}

bool is_web(const Url& url) {
  const std::string scheme = part_of(url, CURLUPART_SCHEME);
  return scheme == "http" || scheme == "https";
}

}  // namespace

std::string origin_of(const std::string& text) {
  const Url url(curl_url());
  if (curl_url_set(url.get(), CURLUPART_URL, text.c_str(), 0) != CURLUE_OK || !is_web(url))
    return "";
  return part_of(url, CURLUPART_SCHEME) + "://" + part_of(url, CURLUPART_HOST) + ":" +
         part_of(url, CURLUPART_PORT, CURLU_DEFAULT_PORT);
}

std::string resolve_url(const std::string& base, const std::string& reference) {
  const Url url(curl_url());
  for (const std::string& text : {base, reference})
    if (text.empty() || curl_url_set(url.get(), CURLUPART_URL, text.c_str(), 0) != CURLUE_OK)
      return "";
  return is_web(url) ? part_of(url, CURLUPART_URL) : "";
}

std::string percent_encoded(std::string_view text, std::string_view kept) {
  static constexpr char digits[] = "0123456789ABCDEF";
  std::string encoded;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    const bool plain = byte < 0x80 && (std::isalnum(byte) != 0 ||
                                       std::string_view("-._~").find(c) != std::string_view::npos ||
                                       kept.find(c) != std::string_view::npos);
    if (plain)
      encoded += c;
    else
      (encoded += '%') += {digits[byte >> 4], digits[byte & 15]};
  }
  return encoded;
}

}  // namespace pippin::hub
