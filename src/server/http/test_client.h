// A blocking HTTP client of plain sockets for the tests: it sends exactly the bytes it is told to.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>

namespace pippin::server {

struct TestResponse {
  int status = 0;
  std::map<std::string, std::string> headers;  ///< names in lower case
  std::string body;                            ///< with chunks joined
  bool complete = false;  ///< the body ended as its framing says, not by the connection's end
};

/// One connection to 127.0.0.1. Waits at most 10 s for anything.
class TestClient {
 public:
  explicit TestClient(std::uint16_t port);
  ~TestClient();
  TestClient(const TestClient&) = delete;
  TestClient& operator=(const TestClient&) = delete;

  /// False where the server has closed the connection.
  bool send(std::string_view bytes);
  /// The next response; status 0 where none came. `head_only` for answers to HEAD.
  TestResponse receive(bool head_only = false);
  /// Bytes until `text` has been seen; what came before where the connection ended first.
  std::string receive_until(std::string_view text);
  /// Whether the server has closed the connection (waits for it).
  bool closed();
  void shutdown_send();
  /// Makes the close abrupt (RST).
  void reset();
  void close();

 private:
  bool fill();
  std::optional<std::string> take_until(std::string_view text);
  std::optional<std::string> take(std::size_t size);
  void receive_chunks(TestResponse& response);

  int socket_ = -1;
  std::string buffer_;
};

}  // namespace pippin::server
