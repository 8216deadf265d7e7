// An HTTP client for many streamed answers at once: what `pippin bench-serve` drives servers with.
#pragma once

#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace pippin::server {

/// A request, and who is told of its answer.
struct HttpCall {
  std::string url;
  std::string body;                      ///< POST; GET where it is empty
  std::vector<std::string> headers;      ///< "Name: value"
  std::chrono::milliseconds timeout{0};  ///< for all of it; 0 for none
  /// A piece of the answer's body has come. Must not call the client.
  std::function<void(std::string_view)> on_data;
  /// The end: `status` 0 and a reason where there was no complete answer.
  std::function<void(int status, const std::string& failure)> on_end;
};

/// Connections are kept for the calls that follow; proxies are never used. One thread at a time.
class HttpClient {
 public:
  HttpClient();
  ~HttpClient();
  HttpClient(const HttpClient&) = delete;
  HttpClient& operator=(const HttpClient&) = delete;

  /// Sends a request at the next poll(). Also from on_end.
  void start(HttpCall call);

  /// Moves bytes and calls back; returns after something has happened or `at_most`.
  void poll(std::chrono::milliseconds at_most);

  /// Calls that have not ended.
  std::size_t num_active() const;

  /// Ends all calls without telling anyone.
  void abandon();

 private:
  struct State;
  const std::unique_ptr<State> state_;
};

}  // namespace pippin::server
