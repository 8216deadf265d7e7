// Bytes of a connection -> one HTTP/1.1 request, without any input or output of its own.
#pragma once

#include <boost/beast/core/buffers_range.hpp>
#include <boost/beast/http/parser.hpp>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "server/http/exchange.h"

namespace pippin::server {

struct ParserLimits {
  std::size_t max_header_bytes = 32 << 10;
  std::size_t max_body_bytes = 16 << 20;
};

/// A request that cannot be read on: answered with `status`, then the connection is closed.
struct ParserFailure {
  int status = 400;
  std::string message;
};

/// A body as text, which takes memory for what has come of it: Beast's own takes it for the length that a client only says.
struct TextBody {
  using value_type = std::string;
  class reader {
   public:
    template <bool is_request, class Fields>
    reader(boost::beast::http::header<is_request, Fields>&, value_type& body) : body_(body) {}
    void init(const boost::optional<std::uint64_t>&, boost::beast::error_code& error) {
      error = {};
    }
    template <class Buffers>
    std::size_t put(const Buffers& buffers, boost::beast::error_code& error) {
      error = {};
      std::size_t size = 0;
      for (const boost::asio::const_buffer bytes : boost::beast::buffers_range_ref(buffers)) {
        body_.append(static_cast<const char*>(bytes.data()), bytes.size());
        size += bytes.size();
      }
      return size;
    }
    void finish(boost::beast::error_code& error) { error = {}; }

   private:
    value_type& body_;
  };
};

/// Reads one request, fed in pieces of any size. One instance a request; one thread at a time.
/// Framing that two servers could read differently (Content-Length with Transfer-Encoding, an
/// unknown coding, no Host) is refused, so no request can be smuggled behind another.
class RequestParser {
 public:
  explicit RequestParser(const ParserLimits& limits);

  /// Takes what it can from the front of `bytes` (everything received and not yet taken) and
  /// returns how much that was. The header is taken whole or not at all.
  std::size_t feed(std::string_view bytes);

  bool header_done() const { return parser_.is_header_done(); }
  bool done() const { return !failure_ && parser_.is_done(); }
  const std::optional<ParserFailure>& failure() const { return failure_; }

  /// Whether the client waits for "100 Continue" before it sends the body. Valid once
  /// header_done().
  bool expects_continue() const;
  /// Whether the connection may carry another request after this one. Valid once done().
  bool keep_alive() const { return parser_.keep_alive(); }
  /// The request's path, as in HttpRequest; empty before it has arrived.
  std::string path() const;
  /// HTTP/1.0 knows no chunks. Valid once header_done().
  bool http_1_0() const { return parser_.get().version() == 10; }

  /// The request without peer, id and body. Valid once header_done() without a failure.
  HttpRequest head() const;
  /// Valid once done(); called once.
  std::string take_body();
  /// Both. Valid once done(); called once.
  HttpRequest take();

 private:
  std::size_t put(std::string_view bytes);
  void check_header();
  void fail(int status, std::string message);

  ParserLimits limits_;
  boost::beast::http::request_parser<TextBody> parser_;
  std::optional<ParserFailure> failure_;
  bool started_ = false;
  bool header_checked_ = false;
};

/// Decodes %XX; nullopt where the escapes are broken or hide a NUL.
std::optional<std::string> percent_decode(std::string_view text);

}  // namespace pippin::server
