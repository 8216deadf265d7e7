// The exchange behind a connection. Internal to server/http.
#pragma once

#include <atomic>
#include <memory>
#include <utility>

#include "server/http/connection.h"
#include "server/http/exchange.h"

namespace pippin::server {

/// Forwards what any thread says to the I/O thread. Holds the connection weakly: one that
/// outlives the server does nothing any more.
class HttpExchange final : public Exchange {
 public:
  HttpExchange(std::weak_ptr<HttpConnection> connection, const Outgoing& out, HttpRequest request,
               Admission admission, std::shared_ptr<ExchangeCount> count,
               ByteBudget::Lease body_room);
  ~HttpExchange() override;

  const HttpRequest& request() const override { return request_; }
  void drop_body() override;
  const Caller& caller() const override { return admission_.caller; }
  RequestRecord& record() override { return *record_; }
  void respond(HttpResponse response) override;
  void start_stream(Headers headers) override;
  void keep_alive_with(std::string piece) override;
  void write(std::string piece, std::function<void()> on_written) override;
  void finish() override;
  void on_disconnect(std::function<void()> gone) override;
  bool disconnected() const override { return *gone_; }
  bool started() const override { return started_; }

 private:
  using Change = std::shared_ptr<const HttpConnection::Change>;
  /// Throws std::bad_alloc before anything has changed.
  template <class Function>
  static Change change(Function function) {
    return std::make_shared<const HttpConnection::Change>(std::move(function));
  }
  void update(Change change);

  const std::weak_ptr<HttpConnection> connection_;
  const std::uint64_t serial_;
  const std::shared_ptr<std::atomic<bool>> gone_;
  HttpRequest request_;
  ByteBudget::Lease body_room_;
  const Change cut_off_;
  std::shared_ptr<RequestRecord> record_;
  Admission admission_;
  const std::shared_ptr<ExchangeCount> count_;
  std::atomic<bool> started_ = false;
  std::atomic<bool> ended_ = false;
};

}  // namespace pippin::server
