#include "server/http/connection.h"

#include <boost/asio/buffer.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <algorithm>
#include <exception>
#include <iterator>
#include <utility>

#include "base/log.h"
#include "server/http/connection_exchange.h"
#include "server/http/errors.h"
#include "server/http/head.h"

namespace pippin::server {
namespace {

using boost::system::error_code;

constexpr Clock::time_point never = Clock::time_point::max();

// How long a client that is not listened to any more may go on sending before the connection is cut; the bytes are limited, too.
// Closing at once would make its system discard our answer unread.
constexpr std::chrono::seconds linger_idle{1};
constexpr std::chrono::seconds linger_total{2};
constexpr std::size_t linger_bytes = 32 << 20;

// When a client that sends no more is sent something to find out whether it still reads, each counted from the one before.
constexpr std::chrono::milliseconds probe_delays[] = {
    std::chrono::milliseconds{20}, std::chrono::milliseconds{20}, std::chrono::milliseconds{200},
    std::chrono::milliseconds{1000}, std::chrono::milliseconds{5000}};

// A client's own request id is kept where it is harmless in headers and logs.
bool usable_id(std::string_view id) {
  return !id.empty() && id.size() <= 128 && printable(id) == id;
}

}  // namespace

HttpConnection::HttpConnection(std::shared_ptr<HttpCore> core, std::uint64_t number,
                               std::unique_ptr<Transport> transport, Peer peer)
    : core_(std::move(core)),
      number_(number),
      transport_(std::move(transport)),
      strand_(transport_->executor()),
      changed_(strand_),
      peer_(std::move(peer)),
      max_input_(core_->options().max_header_bytes + 2 * max_read) {}

HttpConnection::~HttpConnection() {
  core_->waits_no_more(number_);
  core_->remove(number_);
}

void HttpConnection::start(bool full) {
  auto self = shared_from_this();
  asio::co_spawn(
      strand_, [self, full] { return self->run(full); },
      [self](std::exception_ptr error) {
        self->close();
        try {
          if (error) std::rethrow_exception(error);
        } catch (const std::exception& bug) {
          spdlog::error("[http] {}: {}", self->peer_.name, bug.what());
        }
      });
}

void HttpConnection::stop(bool now) {
  asio::post(strand_, [self = shared_from_this(), now] {
    self->stopping_ = self->stopping_ || now;
    self->changed_.cancel();
  });
}

void HttpConnection::evict() {
  asio::post(strand_, [self = shared_from_this()] {
    if (!self->waiting_) return;  // its request has come meanwhile
    spdlog::debug("[http] {}: closed, others need its place", self->peer_.name);
    self->close();
    self->changed_.cancel();
  });
}

void HttpConnection::update(std::uint64_t serial,
                            std::function<void(HttpConnection&, Outgoing&)> change) {
  // Held weakly: what is posted after the last I/O thread has ended must not keep the connection
  // (and with it the io_context that holds the post) alive for ever.
  asio::post(strand_, [weak = weak_from_this(), serial, change = std::move(change)] {
    const auto self = weak.lock();
    if (!self || !self->out_ || self->out_->serial != serial || self->out_->ended) return;
    change(*self, *self->out_);
    self->changed_.cancel();
  });
}

// ---------------------------------------------------------------------------------------------------------------------
// The coroutine

asio::awaitable<void> HttpConnection::run(bool full) {
  const bool secured = co_await handshake();
  if (!secured) {
    // whoever it was spoke no TLS
  } else if (full) {
    ParserFailure failure{503, "the server has as many connections as it may; try again"};
    co_await refuse(std::move(failure));
  } else {
    co_await serve();
  }
  close();
}

asio::awaitable<bool> HttpConnection::handshake() {
  bool done = false;
  error_code failure;
  reading_ = true;  // by the handshake
  transport_->handshake([self = shared_from_this(), &done, &failure](error_code error) {
    done = true;
    failure = error;
    self->reading_ = false;
    self->changed_.cancel();
  });
  const auto deadline = Clock::now() + core_->options().header_timeout;
  while (!done) {
    if (stopping_ || Clock::now() >= deadline) close();
    co_await changed(deadline);
  }
  if (failure) spdlog::debug("[http] {}: no TLS: {}", peer_.name, failure.message());
  co_return !failure && !broken_;
}

asio::awaitable<void> HttpConnection::serve() {
  for (;;) {
    const bool begun = co_await first_byte();
    if (!begun) co_return;
    const Received received = co_await receive();
    if (received == Received::nothing) co_return;
    if (received == Received::failure) {
      co_await refuse(failure_);
      co_return;
    }
    const bool keep = co_await answer();
    if (!keep) break;
    wait_for(WaitingConnections::Stage::idle);
  }
  if (!input_.empty() || body_cut_) co_await close_after_reading();
}

// Waits for a request to begin; false where none will.
asio::awaitable<bool> HttpConnection::first_byte() {
  const auto deadline = Clock::now() + core_->options().idle_timeout;
  while (input_.empty()) {
    if (peer_closed_ || stopping_ || core_->draining() || Clock::now() >= deadline) co_return false;
    co_await changed(deadline);
  }
  wait_for(WaitingConnections::Stage::header);
  co_return true;
}

asio::awaitable<HttpConnection::Received> HttpConnection::receive() {
  const HttpOptions& options = core_->options();
  parser_.emplace(ParserLimits{options.max_header_bytes, options.max_body_bytes});
  head_.reset();
  bool in_body = false;
  auto deadline = Clock::now() + options.header_timeout;
  for (;;) {
    const std::size_t used = parser_->feed(input_);
    input_.erase(0, used);
    if (parser_->failure()) {
      failure_ = *parser_->failure();
      co_return Received::failure;
    }
    if (parser_->header_done() && !head_) judge();
    if (parser_->done() || (head_ && !wants_body())) co_return Received::request;
    if (head_ && !in_body) {
      in_body = true;
      deadline = Clock::now() + options.body_timeout;
      if (parser_->expects_continue()) {
        std::string go_on = "HTTP/1.1 100 Continue\r\n\r\n";
        co_await write(std::move(go_on));
        continue;  // the body may have come meanwhile
      }
    }
    if (in_body) deadline += std::chrono::milliseconds(used * 1000 / options.min_body_bytes_per_s);
    if (peer_closed_ || stopping_) co_return Received::nothing;
    if (Clock::now() >= deadline) {
      failure_ = {408, in_body ? "the request's body took too long to arrive"
                               : "the request's header took too long to arrive"};
      co_return Received::failure;
    }
    co_await changed(deadline);
  }
}

// Sends the current request's answer as it is produced. Returns whether the connection may carry
// another request.
asio::awaitable<bool> HttpConnection::answer() {
  begin_exchange();
  auto last_write = Clock::now();
  std::size_t num_probes = 0;
  auto last_probe = last_write;
  while (!broken_ && !stopping_) {
    if (!out_->bytes.empty() || !out_->on_written.empty()) {
      auto on_written = std::exchange(out_->on_written, {});
      auto bytes = std::exchange(out_->bytes, {});
      const bool written = co_await write(std::move(bytes));
      if (!written) break;
      last_write = Clock::now();
      for (auto& callback : on_written) core_->post(std::move(callback));
    } else if (out_->ended) {
      break;
    } else {
      tell_if_gone();
      const bool unsure = peer_closed_ && !*out_->gone && num_probes < std::size(probe_delays);
      const auto probe_at = unsure ? last_probe + probe_delays[num_probes] : never;
      if (unsure && Clock::now() >= probe_at) {
        probe(*out_);
        ++num_probes;
        last_probe = Clock::now();
        continue;
      }
      const auto interval = core_->options().keep_alive_interval;
      const bool kept_alive = !out_->idle_piece.empty() && interval.count() > 0;
      const auto quiet_until = kept_alive ? last_write + interval : never;
      co_await changed(std::min(quiet_until, probe_at));
      const bool quiet = out_->bytes.empty() && !out_->ended && Clock::now() >= quiet_until;
      if (quiet) send_piece(*out_, out_->idle_piece, {});
    }
  }
  const bool complete = out_->ended && !out_->abandoned && out_->bytes.empty() && !broken_;
  if (!complete) {
    peer_closed_ = true;
    only_sending_ended_ = false;
    tell_if_gone();
  }
  RequestRecord& record = *out_->record;
  if (record.status == 0) record.status = status_of(Code::cancelled);
  record.complete = complete;
  record.ended = Clock::now();
  const bool keep = complete && out_->keep_alive;
  out_.reset();
  co_return keep;
}

// A client that sends no more may still read, or have left. Its system refuses what is sent to one that has left, which the next
// write tells.
void HttpConnection::probe(Outgoing& out) {
  if (out.started)
    send_piece(out, out.idle_piece, {});
  else
    out.bytes += "HTTP/1.1 100 Continue\r\n\r\n";
}

// Answers what could not be read as a request.
asio::awaitable<void> HttpConnection::refuse(ParserFailure failure) {
  admission_ = {};
  const std::string id = core_->make_id();
  const ErrorShape shape = core_->error_shape(parser_ ? parser_->path() : "");
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

asio::awaitable<bool> HttpConnection::write(std::string bytes) {
  output_ = std::move(bytes);
  sent_ = 0;
  while (sent_ < output_.size() && !broken_) {
    const auto deadline = Clock::now() + core_->options().write_timeout;
    write_more();
    while (writing_) {
      tell_if_gone();
      co_await changed(deadline);
      if (writing_ && (stopping_ || Clock::now() >= deadline)) close();
    }
  }
  co_return !broken_;
}

// Half-closes, then reads and drops what the client is still sending until it closes, too: not for long, and not much.
asio::awaitable<void> HttpConnection::close_after_reading() {
  transport_->shutdown_send();
  const auto end = Clock::now() + linger_total;
  auto idle_end = Clock::now() + linger_idle;
  std::size_t dropped = 0;
  while (!peer_closed_ && !stopping_ && Clock::now() < std::min(end, idle_end)) {
    if (!input_.empty()) idle_end = Clock::now() + linger_idle;
    dropped += input_.size();
    input_.clear();
    if (dropped > linger_bytes) break;
    co_await changed(std::min(end, idle_end));
  }
}

// Returns when something has changed or at `deadline`; meanwhile a read is pending.
asio::awaitable<void> HttpConnection::changed(Clock::time_point deadline) {
  read_more();
  changed_.expires_at(deadline);
  error_code ignored;
  auto token = asio::redirect_error(asio::use_awaitable, ignored);
  co_await changed_.async_wait(token);
}

// ---------------------------------------------------------------------------------------------------------------------
// Reading, writing, closing

void HttpConnection::read_more() {
  if (reading_ || peer_closed_ || input_.size() + max_read > max_input_) return;
  reading_ = true;
  transport_->read(input_, [self = shared_from_this()](error_code error) {
    self->reading_ = false;
    if (error) self->peer_closed_ = true;
    self->only_sending_ended_ = error == asio::error::eof;
    self->changed_.cancel();
  });
}

void HttpConnection::write_more() {
  writing_ = true;
  const auto rest = asio::buffer(output_.data() + sent_, output_.size() - sent_);
  transport_->write_some(rest, [self = shared_from_this()](error_code error, std::size_t size) {
    self->writing_ = false;
    if (error) self->broken_ = true;
    self->sent_ += size;
    self->changed_.cancel();
  });
}

void HttpConnection::tell_if_gone() {
  if (!out_ || !peer_closed_ || *out_->gone) return;
  // Whether it still reads can be found out where there is something to send (see probe()); HTTP/1.0 knows no "100 Continue".
  const bool can_ask = out_->chunked && (!out_->started || !out_->idle_piece.empty());
  if (only_sending_ended_ && can_ask && !broken_) return;
  *out_->gone = true;
  if (out_->on_disconnect) core_->post(std::exchange(out_->on_disconnect, {}));
}

void HttpConnection::close() {
  broken_ = true;
  peer_closed_ = true;
  transport_->close();
}

// ---------------------------------------------------------------------------------------------------------------------
// The current exchange

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
                                                 std::exchange(admission_, {}), core_->exchanges());
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

}  // namespace pippin::server
