#include "server/http/connection_exchange.h"

#include <utility>

#include "base/log.h"

namespace pippin::server {
namespace {

constexpr std::size_t large_body_bytes = 1 << 20;

}  // namespace

HttpExchange::HttpExchange(std::weak_ptr<HttpConnection> connection, const Outgoing& out,
                           HttpRequest request, Admission admission,
                           std::shared_ptr<ExchangeCount> count, ByteBudget::Lease body_room)
    : connection_(std::move(connection)),
      serial_(out.serial),
      gone_(out.gone),
      request_(std::move(request)),
      body_room_(std::move(body_room)),
      cut_off_(change([](HttpConnection& to, Outgoing& answer) { to.cut_off(answer); })),
      record_(out.record),
      admission_(std::move(admission)),
      count_(std::move(count)) {
  count_->add(1);
  if (request_.body.size() > large_body_bytes) count_->note_large_body();
}

HttpExchange::~HttpExchange() {
  if (!ended_) update(cut_off_);
  // The observer and the gate may be gone once the last exchange is.
  record_.reset();
  admission_.held.reset();
  count_->add(-1);
}

void HttpExchange::update(Change change) {
  if (const auto connection = connection_.lock()) connection->update(serial_, std::move(change));
}

void HttpExchange::drop_body() {
  request_.body = std::string();
  body_room_ = {};
}

void HttpExchange::respond(HttpResponse response) {
  for (const auto& [name, value] : admission_.headers) response.headers.add(name, value);
  const int status = response.status;
  auto answer = change([response = std::move(response)](HttpConnection& connection, Outgoing& out) {
    connection.send(out, response);
  });
  if (started_.exchange(true)) {
    spdlog::warn("[http] {}: a second answer ({}) is dropped", request_.id, status);
    return;
  }
  ended_ = true;
  update(std::move(answer));
}

void HttpExchange::start_stream(Headers headers) {
  for (const auto& [name, value] : admission_.headers) headers.add(name, value);
  auto start = change([headers = std::move(headers)](HttpConnection& connection, Outgoing& out) {
    connection.start_stream(out, headers);
  });
  if (!started_.exchange(true)) update(std::move(start));
}

void HttpExchange::keep_alive_with(std::string piece) {
  if (ended_) return;
  update(change(
      [piece = std::move(piece)](HttpConnection&, Outgoing& out) { out.idle_piece = piece; }));
}

void HttpExchange::write(std::string piece, std::function<void()> on_written) {
  if (!started_ || ended_) return;
  update(change([piece = std::move(piece), on_written = std::move(on_written)](
                    HttpConnection& connection, Outgoing& out) {
    connection.send_piece(out, piece, on_written);
  }));
}

void HttpExchange::finish() {
  if (!started_ || ended_) return;
  auto end = change([](HttpConnection& connection, Outgoing& out) { connection.end_stream(out); });
  if (!ended_.exchange(true)) update(std::move(end));
}

void HttpExchange::on_disconnect(std::function<void()> gone) {
  update(change([gone = std::move(gone)](HttpConnection& connection, Outgoing& out) {
    connection.set_on_disconnect(out, gone);
  }));
}

}  // namespace pippin::server
