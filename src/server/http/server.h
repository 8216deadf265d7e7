// The HTTP server: sockets in, exchanges out. Its .cpp files are the only ones that know the HTTP
// library.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>

#include "server/http/exchange.h"
#include "server/http/router.h"
#include "server/observe/body_stats.h"

namespace pippin {
class ThreadPool;
}

namespace pippin::server {

class HttpCore;

struct HttpOptions {
  /// Address or name to listen on. 127.0.0.1 is reached from this machine only.
  std::string host = "127.0.0.1";
  /// 0 takes any free port (see HttpServer::port).
  std::uint16_t port = 8000;
  /// Listen on a socket file of this name instead, which the owner and its group may connect to; one that nobody listens on any
  /// more is replaced. Empty: on host and port.
  std::filesystem::path unix_socket;

  /// PEM files of a certificate (with those between it and its authority) and of its key: HTTPS is spoken then, and nothing else.
  /// Both empty: HTTP.
  std::filesystem::path tls_certificate, tls_key;

  /// Largest request header and body, in bytes. Above them: 431 and 413, without reading the rest.
  std::size_t max_header_bytes = 32 << 10;
  std::size_t max_body_bytes = 16 << 20;
  /// Bytes of all bodies together, from their arrival until they have been read, beyond the first own_body_bytes of each, so that
  /// short requests always get in. At least max_body_bytes. A body that finds no room waits for so long, then it is answered 503.
  std::size_t max_bodies_bytes = 256 << 20;
  std::size_t own_body_bytes = 64 << 10;
  std::chrono::milliseconds body_room_timeout{2'000};

  /// A header must have arrived this long after its first byte: 408.
  std::chrono::milliseconds header_timeout{10'000};
  /// A body may take this long, and longer by the time that its bytes need at min_body_bytes_per_s:
  /// 408.
  std::chrono::milliseconds body_timeout{10'000};
  std::int64_t min_body_bytes_per_s = 16 << 10;
  /// A kept-alive connection without a request is closed after this long.
  std::chrono::milliseconds idle_timeout{75'000};
  /// Streams that are kept alive get their piece after so long a silence (see Exchange::keep_alive_with); 0: none do.
  std::chrono::milliseconds keep_alive_interval{15'000};
  /// A client that takes no byte of its answer for this long is disconnected.
  std::chrono::milliseconds write_timeout{60'000};

  /// Connections at once. Where there are more, those go that have waited longest without a whole request; where there are none of
  /// these, new ones are answered 503.
  int max_connections = 512;
  /// Connections of one address whose request's header is not whole yet; past it the oldest of them is closed. 0: half of all,
  /// but at least 8.
  int max_headers_per_address = 0;
};

/// Listens, reads requests, routes them to handlers and sends their answers. Handlers run on the
/// thread pool, except the routes of Where::io_thread. An Error that leaves a handler is answered
/// in one place (server/http/errors). Owns its I/O thread; the pool must outlive it. All methods are
/// thread-safe except as said.
class HttpServer {
 public:
  /// Binds, so that a port in use is reported before anything long begins. Throws
  /// Error(unavailable) where it can't, Error(invalid_argument) for a host that can't be resolved.
  HttpServer(const HttpOptions& options, ThreadPool& pool);
  /// As shutdown(0) and wait().
  ~HttpServer();
  HttpServer(const HttpServer&) = delete;
  HttpServer& operator=(const HttpServer&) = delete;

  /// The port listened on; 0 for a socket file.
  std::uint16_t port() const;
  /// Whether it is reached from this machine only, by its port.
  bool on_loopback() const;

  /// Starts to accept connections and returns; `observer` is told of every request once it has ended, and `gate` asked as
  /// soon as its header is there. Called once.
  void start(Router router, RequestObserver observer = {}, Gate gate = {});

  /// On SIGINT or SIGTERM: shutdown(drain); on the second: shutdown(0). Called before start().
  void stop_on_signals(std::chrono::milliseconds drain);

  BodyStats bodies() const;

  /// Stops accepting, closes idle connections, and gives running exchanges `drain` to end; then
  /// cuts them off.
  void shutdown(std::chrono::milliseconds drain);

  /// Returns when a shutdown has closed the last connection. Called by one thread.
  void wait();

  /// Returns when no exchange is held by anyone any more, so that what handlers use may be destroyed; false after
  /// `patience`. Called after wait().
  bool wait_for_handlers(std::chrono::milliseconds patience);

 private:
  std::shared_ptr<HttpCore> core_;
};

}  // namespace pippin::server
