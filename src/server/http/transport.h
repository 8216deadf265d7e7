// How a connection's bytes get through its socket: as they are, or by TLS. Internal to server/http.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/generic/stream_protocol.hpp>
#include <boost/asio/ssl/context.hpp>

#include <cstddef>
#include <functional>
#include <memory>
#include <string>

#include "server/http/server.h"

namespace pippin::server {

namespace asio = boost::asio;

/// The connected socket of a port or of a socket file.
using StreamSocket = asio::generic::stream_protocol::socket;

/// Owns a connected socket. Used on the I/O thread, on which callbacks run, too; at most one read and one write are pending.
/// What a callback holds is let go of when it has run: close() makes every one run.
class Transport {
 public:
  /// Empty: done.
  using Done = std::function<void(boost::system::error_code)>;
  using Written = std::function<void(boost::system::error_code, std::size_t)>;

  virtual ~Transport() = default;
  virtual asio::any_io_executor executor() = 0;
  /// Before anything else.
  virtual void handshake(Done done) = 0;
  /// Appends what arrives to `input`, which must stay until `done`.
  virtual void read(std::string& input, Done done) = 0;
  /// Sends some of `bytes`, which must stay until `written`.
  virtual void write_some(asio::const_buffer bytes, Written written) = 0;
  /// The peer sees an end; what it still sends can be read.
  virtual void shutdown_send() = 0;
  virtual void close() = 0;
};

/// Read at once at most.
inline constexpr std::size_t max_read = 16 << 10;

/// Null where the options name no certificate. Throws Error(invalid_argument) where its files can't be used.
std::unique_ptr<asio::ssl::context> make_tls_context(const HttpOptions& options);

/// By TLS where there is a context, which must outlive the transport.
std::unique_ptr<Transport> make_transport(StreamSocket socket, asio::ssl::context* tls);

}  // namespace pippin::server
