// A connection's current request: judged, handed over, answered or refused.
#include <utility>

#include "base/log.h"
#include "server/http/connection.h"
#include "server/http/connection_exchange.h"
#include "server/http/errors.h"
#include "server/http/head.h"

namespace pippin::server {
namespace {

// A client's own request id is kept where it is harmless in headers and logs.
bool usable_id(std::string_view id) {
  return !id.empty() && id.size() <= 128 && printable(id) == id;
}

}  // namespace

void HttpConnection::wait_for(WaitingConnections::Stage stage) {
  if (waiting_ == stage) return;
  waiting_ = stage;
  core_->waits(number_, peer_.address, stage);
}

// The header is whole: who sends it, and whether any of the body is worth reading.
void HttpConnection::judge() {
  waiting_.reset();
  core_->waits_no_more(number_);
  head_ = parser_->head();
  head_->path = core_->canonical_path(head_->path);  // before the gate, which judges by path
  head_->error_shape = core_->error_shape(head_->path);
  head_->peer = peer_.name;
  const auto id = head_->headers.get("X-Request-Id");
  head_->id = id && usable_id(*id) ? std::string(*id) : core_->make_id();
  admission_ = core_->judge(*head_);
}

bool HttpConnection::wants_body() const { return !admission_.refusal && admission_.reads_body; }

void HttpConnection::begin_exchange() {
  Outgoing out;
  out.serial = next_serial_++;
  body_cut_ = !parser_->done();
  out.keep_alive = !body_cut_ && parser_->keep_alive();
  out.chunked = !parser_->http_1_0();
  HttpRequest request = std::move(*head_);
  if (wants_body()) request.body = parser_->take_body();
  parser_.reset();
  out.head_only = request.method == "HEAD";
  out.request_id = request.id;
  out.record = begin_record(request.id);
  out.record->method = request.method;
  out.record->path = printable(request.path);
  out.gone = std::make_shared<std::atomic<bool>>(false);
  auto refusal = std::exchange(admission_.refusal, std::nullopt);
  auto exchange = std::make_shared<HttpExchange>(weak_from_this(), out, std::move(request),
                                                 std::exchange(admission_, {}), core_->exchanges(),
                                                 std::exchange(body_room_, {}));
  out_ = std::move(out);
  if (refusal)
    exchange->respond(std::move(*refusal));
  else
    core_->dispatch(std::move(exchange));
}

std::shared_ptr<RequestRecord> HttpConnection::begin_record(std::string id) {
  auto record = make_record(core_->observer());
  record->id = std::move(id);
  record->client = peer_.name;
  record->begun = Clock::now();
  return record;
}

void HttpConnection::send(Outgoing& out, const HttpResponse& response) {
  out.started = true;
  out.ended = true;
  out.record->status = response.status;
  out.keep_alive = out.keep_alive && !core_->draining();
  ResponseHead head;
  head.status = response.status;
  head.length = response.body.size();
  head.keep_alive = out.keep_alive;
  head.request_id = out.request_id;
  out.bytes += format_head(head, response.headers);
  if (!out.head_only) out.bytes += response.body;
}

void HttpConnection::start_stream(Outgoing& out, const Headers& headers) {
  out.started = true;
  out.record->status = 200;
  // Without chunks only the connection's end marks the stream's.
  out.keep_alive = out.keep_alive && out.chunked && !core_->draining();
  ResponseHead head;
  head.chunked = out.chunked;
  head.keep_alive = out.keep_alive;
  head.request_id = out.request_id;
  out.bytes += format_head(head, headers);
}

void HttpConnection::send_piece(Outgoing& out, std::string_view piece,
                                std::function<void()> on_written) {
  if (!out.head_only) out.bytes += out.chunked ? format_chunk(piece) : std::string(piece);
  if (on_written) out.on_written.push_back(std::move(on_written));
}

void HttpConnection::end_stream(Outgoing& out) {
  out.ended = true;
  if (out.chunked && !out.head_only) out.bytes += "0\r\n\r\n";
}

// The handler let go of the exchange without ending it.
void HttpConnection::cut_off(Outgoing& out) {
  if (!out.started && !*out.gone) {
    spdlog::error("[http] {}: {} {} was left unanswered", out.request_id, out.record->method,
                  out.record->path);
    return send(out, error_response({core_->error_shape(out.record->path), out.request_id}, 500,
                                    "internal error: the request was left unanswered"));
  }
  out.ended = true;
  out.abandoned = true;
  out.keep_alive = false;
}

void HttpConnection::set_on_disconnect(Outgoing& out, std::function<void()> gone) {
  if (*out.gone)
    core_->post(std::move(gone));
  else
    out.on_disconnect = std::move(gone);
}

// What has come of a request that is not answered as one. Its body goes before the room for it, which others wait for.
void HttpConnection::drop_request() {
  parser_.reset();
  admission_ = {};
  body_room_ = {};
}

// Answers what could not be read as a request.
asio::awaitable<void> HttpConnection::refuse(ParserFailure failure) {
  const std::string id = core_->make_id();
  const ErrorShape shape = core_->error_shape(parser_ ? parser_->path() : "");
  drop_request();
  const HttpResponse response = error_response({shape, id}, failure.status, failure.message,
                                               failure.status == 413 ? "body" : "");
  ResponseHead head;
  head.status = response.status;
  head.length = response.body.size();
  head.keep_alive = false;
  head.request_id = id;
  spdlog::debug("[http] {} {} refused: {} {}", head.request_id, peer_.name, failure.status,
                failure.message);
  auto record = begin_record(head.request_id);
  record->status = response.status;
  std::string bytes = format_head(head, response.headers) + response.body;
  const bool written = co_await write(std::move(bytes));
  record->complete = written;
  record->ended = Clock::now();
  record.reset();
  if (written) co_await close_after_reading();
}

}  // namespace pippin::server
