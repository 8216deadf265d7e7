#include "server/http/connection_exchange.h"

#include <utility>

#include "base/log.h"

namespace pippin::server {

HttpExchange::HttpExchange(std::weak_ptr<HttpConnection> connection, const Outgoing& out,
                           HttpRequest request, Admission admission,
                           std::shared_ptr<ExchangeCount> count)
    : connection_(std::move(connection)),
      serial_(out.serial),
      gone_(out.gone),
      request_(std::move(request)),
      record_(out.record),
      admission_(std::move(admission)),
      count_(std::move(count)) {
  count_->add(1);
}

HttpExchange::~HttpExchange() {
  if (!ended_) update([](HttpConnection& connection, Outgoing& out) { connection.cut_off(out); });
  // The observer and the gate may be gone once the last exchange is.
  record_.reset();
  admission_.held.reset();
  count_->add(-1);
}

void HttpExchange::update(Change change) {
  if (const auto connection = connection_.lock()) connection->update(serial_, std::move(change));
}

void HttpExchange::respond(HttpResponse response) {
  if (started_.exchange(true)) {
    spdlog::warn("[http] {}: a second answer ({}) is dropped", request_.id, response.status);
    return;
  }
  ended_ = true;
  for (const auto& [name, value] : admission_.headers) response.headers.add(name, value);
  update([response = std::move(response)](HttpConnection& connection, Outgoing& out) {
    connection.send(out, response);
  });
}

void HttpExchange::start_stream(Headers headers) {
  if (started_.exchange(true)) return;
  for (const auto& [name, value] : admission_.headers) headers.add(name, value);
  update([headers = std::move(headers)](HttpConnection& connection, Outgoing& out) {
    connection.start_stream(out, headers);
  });
}

void HttpExchange::keep_alive_with(std::string piece) {
  if (!started_ || ended_) return;
  update([piece = std::move(piece)](HttpConnection&, Outgoing& out) { out.idle_piece = piece; });
}

void HttpExchange::write(std::string piece, std::function<void()> on_written) {
  if (!started_ || ended_) return;
  update([piece = std::move(piece), on_written = std::move(on_written)](HttpConnection& connection,
                                                                        Outgoing& out) {
    connection.send_piece(out, piece, on_written);
  });
}

void HttpExchange::finish() {
  if (!started_ || ended_.exchange(true)) return;
  update([](HttpConnection& connection, Outgoing& out) { connection.end_stream(out); });
}

void HttpExchange::on_disconnect(std::function<void()> gone) {
  update([gone = std::move(gone)](HttpConnection& connection, Outgoing& out) {
    connection.set_on_disconnect(out, gone);
  });
}

}  // namespace pippin::server
