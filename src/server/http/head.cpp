#include "server/http/head.h"

#include <ctime>
#include <ostream>  // boost/beast/http/status.hpp leaves it out

#include <spdlog/fmt/fmt.h>
#include <boost/beast/http/status.hpp>

namespace pippin::server {
namespace {

std::string http_date() {
  const std::time_t now = std::time(nullptr);
  std::tm utc{};
  gmtime_r(&now, &utc);
  char text[64];
  const std::size_t size = std::strftime(text, sizeof(text), "%a, %d %b %Y %H:%M:%S GMT", &utc);
  return {text, size};
}

std::string reason_of(int status) {
  namespace http = boost::beast::http;
  const auto reason = http::obsolete_reason(http::int_to_status(static_cast<unsigned>(status)));
  return {reason.data(), reason.size()};
}

}  // namespace

std::string printable(std::string_view text) {
  std::string out(text);
  for (char& c : out)
    if (c < ' ' || c > '~') c = '?';
  return out;
}

std::string format_head(const ResponseHead& head, const Headers& headers) {
  std::string out = fmt::format("HTTP/1.1 {} {}\r\nServer: pippin\r\nDate: {}\r\n", head.status,
                                reason_of(head.status), http_date());
  for (const auto& [name, value] : headers)
    out += printable(name) + ": " + printable(value) + "\r\n";
  if (!head.request_id.empty()) out += "X-Request-Id: " + printable(head.request_id) + "\r\n";
  if (head.length) out += fmt::format("Content-Length: {}\r\n", *head.length);
  if (head.chunked) out += "Transfer-Encoding: chunked\r\n";
  out += head.keep_alive ? "Connection: keep-alive\r\n\r\n" : "Connection: close\r\n\r\n";
  return out;
}

std::string format_chunk(std::string_view data) {
  if (data.empty()) return "";
  return fmt::format("{:x}\r\n{}\r\n", data.size(), data);
}

}  // namespace pippin::server
