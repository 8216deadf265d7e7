#include "server/http/transport.h"

#include <boost/asio/post.hpp>
#include <boost/asio/ssl/stream.hpp>

#include <array>
#include <new>
#include <utility>

#include "pippin/error.h"

namespace pippin::server {
namespace {

using boost::system::error_code;

// Without memory for what has come, the connection ends.
error_code append(std::string& input, const char* bytes, std::size_t size) {
  try {
    input.append(bytes, size);
    return {};
  } catch (const std::bad_alloc&) {
    return boost::system::errc::make_error_code(boost::system::errc::not_enough_memory);
  }
}

class PlainTransport final : public Transport {
 public:
  explicit PlainTransport(StreamSocket socket) : socket_(std::move(socket)) {
    error_code ignored;
    socket_.non_blocking(true, ignored);
  }

  asio::any_io_executor executor() override { return socket_.get_executor(); }
  void handshake(Done done) override {
    asio::post(socket_.get_executor(), [done = std::move(done)] { done({}); });
  }

  // Waits for bytes before it takes memory for them: most connections are quiet most of the time.
  void read(std::string& input, Done done) override {
    socket_.async_wait(StreamSocket::wait_read,
                       [this, &input, done = std::move(done)](error_code error) {
                         done(error ? error : read_now(input));
                       });
  }

  void write_some(asio::const_buffer bytes, Written written) override {
    socket_.async_write_some(bytes, std::move(written));
  }

  void shutdown_send() override {
    error_code ignored;
    socket_.shutdown(StreamSocket::shutdown_send, ignored);
  }

  void close() override {
    error_code ignored;
    socket_.close(ignored);
  }

 private:
  error_code read_now(std::string& input) {
    std::array<char, max_read> bytes;
    error_code error;
    const std::size_t size = socket_.read_some(asio::buffer(bytes), error);
    if (const error_code starved = append(input, bytes.data(), size)) return starved;
    const bool nothing_yet = error == asio::error::would_block || error == asio::error::try_again;
    return nothing_yet ? error_code() : error;
  }

  StreamSocket socket_;
};

// Ends as TCP does, without TLS's own farewell: HTTP says by itself where an answer ends.
class TlsTransport final : public Transport {
 public:
  TlsTransport(StreamSocket socket, asio::ssl::context& context)
      : stream_(std::move(socket), context) {}

  asio::any_io_executor executor() override { return stream_.get_executor(); }
  void handshake(Done done) override {
    stream_.async_handshake(asio::ssl::stream_base::server, std::move(done));
  }

  void read(std::string& input, Done done) override {
    stream_.async_read_some(asio::buffer(bytes_), [this, &input, done = std::move(done)](
                                                      error_code error, std::size_t size) {
      const error_code starved = append(input, bytes_.data(), size);
      done(starved ? starved : error);
    });
  }

  void write_some(asio::const_buffer bytes, Written written) override {
    stream_.async_write_some(bytes, std::move(written));
  }

  void shutdown_send() override {
    error_code ignored;
    stream_.next_layer().shutdown(StreamSocket::shutdown_send, ignored);
  }

  void close() override {
    error_code ignored;
    stream_.next_layer().close(ignored);
  }

 private:
  asio::ssl::stream<StreamSocket> stream_;
  std::array<char, max_read> bytes_;
};

}  // namespace

std::unique_ptr<asio::ssl::context> make_tls_context(const HttpOptions& options) {
  if (options.tls_certificate.empty() && options.tls_key.empty()) return nullptr;
  if (options.tls_certificate.empty() || options.tls_key.empty())
    throw Error(Code::invalid_argument,
                "[http] TLS needs both, a certificate (--tls-cert) and its key (--tls-key)");
  auto context = std::make_unique<asio::ssl::context>(asio::ssl::context::tls_server);
  using Context = asio::ssl::context;
  context->set_options(Context::default_workarounds | Context::no_sslv2 | Context::no_sslv3 |
                       Context::no_tlsv1 | Context::no_tlsv1_1);
  error_code error;
  context->use_certificate_chain_file(options.tls_certificate.string(), error);
  if (error)
    throw Error(Code::invalid_argument, "[http] '" + options.tls_certificate.string() +
                                            "' is no certificate: " + error.message());
  context->use_private_key_file(options.tls_key.string(), Context::pem, error);
  if (error)
    throw Error(Code::invalid_argument, "[http] '" + options.tls_key.string() +
                                            "' is not that certificate's key: " + error.message());
  return context;
}

std::unique_ptr<Transport> make_transport(StreamSocket socket, asio::ssl::context* tls) {
  if (tls) return std::make_unique<TlsTransport>(std::move(socket), *tls);
  return std::make_unique<PlainTransport>(std::move(socket));
}

}  // namespace pippin::server
