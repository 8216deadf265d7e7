#include "server/http/parser.h"

#include <boost/beast/core/string.hpp>

#include <cstdint>
#include <utility>

namespace pippin::server {
namespace beast = boost::beast;
namespace http = boost::beast::http;
namespace {

constexpr std::string_view last_chunk = "0\r\n\r\n";

int hex_value(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

std::string_view view(beast::string_view text) { return {text.data(), text.size()}; }

// The path and query of a request target in origin form ("/a?b") or absolute form
// ("http://host/a?b").
std::string_view origin_form(std::string_view target) {
  const std::size_t scheme = target.find("://");
  if (target.starts_with('/') || scheme == std::string_view::npos) return target;
  const std::size_t path = target.find('/', scheme + 3);
  return path == std::string_view::npos ? "/" : target.substr(path);
}

}  // namespace

std::optional<std::string> percent_decode(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      out += text[i];
      continue;
    }
    if (i + 2 >= text.size()) return {};
    const int high = hex_value(text[i + 1]);
    const int low = hex_value(text[i + 2]);
    if (high < 0 || low < 0 || (high == 0 && low == 0)) return {};
    out += static_cast<char>(high * 16 + low);
    i += 2;
  }
  return out;
}

RequestParser::RequestParser(const ParserLimits& limits) : limits_(limits) {
  parser_.header_limit(static_cast<std::uint32_t>(limits.max_header_bytes));
  parser_.body_limit(limits.max_body_bytes);
}

void RequestParser::fail(int status, std::string message) {
  failure_ = ParserFailure{status, std::move(message)};
}

std::size_t RequestParser::feed(std::string_view bytes) {
  std::size_t used = 0;
  // Some clients end a body with a line break too many (RFC 9112, 2.2).
  while (!started_ && used < bytes.size() && (bytes[used] == '\r' || bytes[used] == '\n')) ++used;
  while (used < bytes.size() && !failure_ && !parser_.is_done()) {
    // Beast asserts that the rest of the last chunk comes at once where it has seen the chunk's size. Every chunked body ends with
    // as many bytes as that chunk has, so fewer can wait.
    if (header_checked_ && parser_.chunked() && bytes.size() - used < last_chunk.size()) break;
    started_ = true;
    const std::size_t step = put(bytes.substr(used));
    if (parser_.is_header_done() && !failure_) check_header();
    if (step == 0) break;
    used += step;
  }
  if (!failure_ && !done() && bytes.size() - used > limits_.max_header_bytes)
    fail(431, "a line of the request is longer than " + std::to_string(limits_.max_header_bytes) +
                  " bytes");
  return used;
}

std::size_t RequestParser::put(std::string_view bytes) {
  beast::error_code error;
  const std::size_t used =
      parser_.put(boost::asio::const_buffer(bytes.data(), bytes.size()), error);
  if (!error || error == http::error::need_more) return used;
  if (error == http::error::body_limit)
    fail(413,
         "the request's body is larger than " + std::to_string(limits_.max_body_bytes) + " bytes");
  else if (error == http::error::header_limit)
    fail(431, "the request's header is larger than " + std::to_string(limits_.max_header_bytes) +
                  " bytes");
  else if (error == http::error::bad_version)
    fail(400, "only HTTP/1.0 and HTTP/1.1 are spoken here");
  else
    fail(400, "malformed HTTP request: " + error.message());
  return used;
}

void RequestParser::check_header() {
  if (header_checked_) return;
  header_checked_ = true;
  parser_.eager(true);
  const auto& message = parser_.get();
  const auto codings = message.equal_range(http::field::transfer_encoding);
  for (auto it = codings.first; it != codings.second; ++it)
    if (!beast::iequals(it->value(), "chunked") || std::next(it) != codings.second)
      return fail(501, "the only Transfer-Encoding understood is 'chunked'");
  if (message.version() == 11 && message.count(http::field::host) != 1)
    return fail(400, "an HTTP/1.1 request needs exactly one Host header");
  const auto expect = message[http::field::expect];
  if (!expect.empty() && !beast::iequals(expect, "100-continue"))
    return fail(417, "the only expectation understood is '100-continue'");
  const std::string_view target = origin_form(view(message.target()));
  const bool any = message.method() == http::verb::options && target == "*";
  if (!any && (!target.starts_with('/') || !percent_decode(target.substr(0, target.find('?')))))
    fail(400, "the request's target is not a valid path");
}

bool RequestParser::expects_continue() const {
  return !parser_.get()[http::field::expect].empty() && !http_1_0();
}

std::string RequestParser::path() const {
  const std::string_view target = origin_form(view(parser_.get().target()));
  return percent_decode(target.substr(0, target.find('?'))).value_or("/");
}

HttpRequest RequestParser::head() const {
  const auto& message = parser_.get();
  HttpRequest request;
  request.method = view(message.method_string());
  const std::string_view target = origin_form(view(message.target()));
  const std::size_t mark = target.find('?');
  request.path = percent_decode(target.substr(0, mark)).value_or("/");
  if (mark != std::string_view::npos) request.query = target.substr(mark + 1);
  for (const auto& field : message) {
    request.headers.add(std::string(view(field.name_string())), std::string(view(field.value())));
  }
  return request;
}

std::string RequestParser::take_body() { return std::move(parser_.get().body()); }

HttpRequest RequestParser::take() {
  HttpRequest request = head();
  request.body = take_body();
  return request;
}

}  // namespace pippin::server
