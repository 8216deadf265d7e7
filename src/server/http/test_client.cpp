#include "server/http/test_client.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <stdexcept>
#include <utility>

namespace pippin::server {

TestClient::TestClient(std::uint16_t port) : socket_(::socket(AF_INET, SOCK_STREAM, 0)) {
  const timeval patience{10, 0};
  ::setsockopt(socket_, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
  ::setsockopt(socket_, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (::connect(socket_, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0)
    throw std::runtime_error("can't connect to port " + std::to_string(port));
}

TestClient::~TestClient() { close(); }

bool TestClient::send(std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t sent = ::send(socket_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent <= 0) return false;
    bytes.remove_prefix(static_cast<std::size_t>(sent));
  }
  return true;
}

bool TestClient::fill() {
  char bytes[64 << 10];
  const ssize_t size = ::recv(socket_, bytes, sizeof(bytes), 0);
  if (size <= 0) return false;
  buffer_.append(bytes, static_cast<std::size_t>(size));
  return true;
}

std::optional<std::string> TestClient::take_until(std::string_view text) {
  std::size_t at = 0;
  while ((at = buffer_.find(text)) == std::string::npos)
    if (!fill()) return {};
  return take(at + text.size());
}

std::optional<std::string> TestClient::take(std::size_t size) {
  while (buffer_.size() < size)
    if (!fill()) return {};
  std::string taken = buffer_.substr(0, size);
  buffer_.erase(0, size);
  return taken;
}

std::string TestClient::receive_until(std::string_view text) {
  if (auto taken = take_until(text)) return *taken;
  return std::move(buffer_);
}

void TestClient::receive_chunks(TestResponse& response) {
  for (;;) {
    const auto line = take_until("\r\n");
    if (!line) return;
    const std::size_t size = std::stoul(*line, nullptr, 16);
    const auto data = take(size + 2);
    if (!data) return;
    response.body += data->substr(0, size);
    if (size == 0) break;
  }
  response.complete = true;
}

TestResponse TestClient::receive(bool head_only) {
  TestResponse response;
  const auto head = take_until("\r\n\r\n");
  if (!head) return response;
  response.status = std::stoi(head->substr(9, 3));
  for (std::size_t at = head->find("\r\n") + 2; at < head->size() - 2;) {
    const std::size_t end = head->find("\r\n", at);
    const std::size_t colon = head->find(": ", at);
    std::string name = head->substr(at, colon - at);
    std::transform(name.begin(), name.end(), name.begin(),
                   [](unsigned char c) { return std::tolower(c); });
    response.headers[name] = head->substr(colon + 2, end - colon - 2);
    at = end + 2;
  }
  if (head_only || response.status == 100) {
    response.complete = true;
  } else if (response.headers.contains("transfer-encoding")) {
    receive_chunks(response);
  } else if (response.headers.contains("content-length")) {
    const auto body = take(std::stoul(response.headers["content-length"]));
    response.complete = body.has_value();
    response.body = body.value_or("");
  } else {
    while (fill()) {
    }
    response.body = std::exchange(buffer_, {});
  }
  return response;
}

bool TestClient::closed() {
  while (fill()) {
  }
  char byte;
  const ssize_t size = ::recv(socket_, &byte, 1, MSG_DONTWAIT);
  return size == 0 || (size < 0 && errno != EAGAIN);
}

void TestClient::shutdown_send() { ::shutdown(socket_, SHUT_WR); }

void TestClient::reset() {
  const linger abrupt{1, 0};
  ::setsockopt(socket_, SOL_SOCKET, SO_LINGER, &abrupt, sizeof(abrupt));
  close();
}

void TestClient::close() {
  if (socket_ >= 0) ::close(socket_);
  socket_ = -1;
}

}  // namespace pippin::server
