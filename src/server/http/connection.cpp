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
#include <new>
#include <string_view>
#include <utility>

#include "base/insist.h"
#include "base/log.h"
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

// How often a connection looks whether there is room for a body.
constexpr std::chrono::milliseconds body_room_poll{20};

// What is sent where there is no memory to write an answer.
constexpr std::string_view no_memory_answer =
    "HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/json\r\nRetry-After: 1\r\n"
    "Connection: close\r\nContent-Length: 152\r\n\r\n"
    R"({"error":{"message":"the server has no memory left for this request; try again","type":)"
    R"("server_error","param":null,"code":"unavailable"},"type":"error"})";
static_assert(no_memory_answer.size() == no_memory_answer.find("\r\n\r\n") + 4 + 152);

}  // namespace

HttpConnection::HttpConnection(std::shared_ptr<HttpCore> core, std::uint64_t number,
                               std::unique_ptr<Transport> transport, Peer peer)
    : core_(std::move(core)),
      number_(number),
      transport_(std::move(transport)),
      executor_(transport_->executor()),
      changed_(executor_),
      peer_(std::move(peer)),
      max_input_(core_->options().max_header_bytes + 2 * max_read) {}

HttpConnection::~HttpConnection() {
  core_->waits_no_more(number_);
  core_->remove(number_);
}

void HttpConnection::start(bool full) {
  auto self = shared_from_this();
  asio::co_spawn(
      executor_, [self, full] { return self->run(full); },
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
  insist([&] {
    asio::post(executor_, [self = shared_from_this(), now] {
      self->stopping_ = self->stopping_ || now;
      self->changed_.cancel();
    });
  });
}

void HttpConnection::evict() {
  insist([this] {
    asio::post(executor_, [self = shared_from_this()] {
      if (!self->waiting_) return;  // its request has come meanwhile
      spdlog::debug("[http] {}: closed, others need its place", self->peer_.name);
      self->close();
      self->changed_.cancel();
    });
  });
}

void HttpConnection::update(std::uint64_t serial, std::shared_ptr<const Change> change) {
  // Held weakly: what is posted after the last I/O thread has ended must not keep the connection
  // (and with it the io_context that holds the post) alive for ever.
  insist([&] {
    asio::post(executor_, [weak = weak_from_this(), serial, change] {
      const auto self = weak.lock();
      if (self) self->make(serial, *change);
    });
  });
}

void HttpConnection::make(std::uint64_t serial, const Change& change) {
  if (!out_ || out_->serial != serial || out_->ended) return;
  try {
    change(*this, *out_);
  } catch (const std::bad_alloc&) {
    starved_ = true;
  }
  changed_.cancel();
}

// ---------------------------------------------------------------------------------------------------------------------
// The coroutine

asio::awaitable<void> HttpConnection::run(bool full) {
  bool starved = false;
  try {
    co_await talk(full);
  } catch (const std::bad_alloc&) {
    starved = true;
  }
  if (starved) co_await give_up();
  close();
}

asio::awaitable<void> HttpConnection::talk(bool full) {
  const bool secured = co_await handshake();
  if (!secured) {
    // whoever it was spoke no TLS
  } else if (full) {
    ParserFailure failure{503, "the server has as many connections as it may; try again"};
    co_await refuse(std::move(failure));
  } else {
    co_await serve();
  }
}

// There is no memory for the request's next step.
asio::awaitable<void> HttpConnection::give_up() {
  spdlog::warn("[http] {}: no memory is left for its request", peer_.name);
  const bool silent = out_ ? !out_->sent : waiting_ != WaitingConnections::Stage::idle;
  drop_request();
  if (silent && !writing_ && !broken_) co_await write_rest(no_memory_answer);
  if (!out_) co_return;
  leave_answer();
  RequestRecord& record = *out_->record;
  record.status = status_of(silent ? Code::unavailable : Code::cancelled);
  record.ended = Clock::now();
  out_.reset();
}

// Whoever answers has nobody left to answer.
void HttpConnection::leave_answer() {
  peer_closed_ = true;
  only_sending_ended_ = false;
  tell_if_gone();
}

asio::awaitable<bool> HttpConnection::handshake() {
  const auto result = std::make_shared<std::optional<error_code>>();
  transport_->handshake([self = shared_from_this(), result](error_code error) {
    *result = error;
    self->reading_ = false;
    self->changed_.cancel();
  });
  reading_ = true;  // by the handshake
  const auto deadline = Clock::now() + core_->options().header_timeout;
  while (!*result) {
    if (stopping_ || Clock::now() >= deadline) close();
    co_await changed(deadline);
  }
  const error_code failure = **result;
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
  body_bytes_ = 0;
  waited_for_room_ = {};
  auto deadline = Clock::now() + options.header_timeout;
  for (;;) {
    check_memory();
    const auto waited_from = Clock::now();
    const bool has_room = co_await room_for_body();
    if (!has_room) co_return Received::failure;
    deadline += Clock::now() - waited_from;  // which is not the client's fault
    const std::size_t used = parser_->feed(input_);
    input_.erase(0, used);
    if (in_body) body_bytes_ += used;
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

// Waits until there is room for what has come of a body. False where there is none for long: then it is refused.
asio::awaitable<bool> HttpConnection::room_for_body() {
  const HttpOptions& options = core_->options();
  const auto begun = Clock::now();
  const auto end = begun + options.body_room_timeout - waited_for_room_;
  while (!grow_body_room()) {
    if (Clock::now() >= end) {
      core_->count_refused_body();
      failure_ = {503, "the server has no room for the body of one more request; try again"};
      co_return false;
    }
    if (peer_closed_ || stopping_) break;
    co_await changed(std::min(end, Clock::now() + body_room_poll));
  }
  waited_for_room_ += Clock::now() - begun;
  co_return true;
}

bool HttpConnection::grow_body_room() {
  if (!head_) return true;
  const auto wanted = static_cast<std::int64_t>(body_bytes_ + input_.size()) -
                      static_cast<std::int64_t>(core_->options().own_body_bytes);
  if (wanted <= body_room_.bytes()) return true;
  if (body_room_.bytes() == 0) body_room_ = core_->bodies().none();
  return body_room_.grow(wanted - body_room_.bytes());
}

// Handlers of events have no one to tell.
void HttpConnection::check_memory() const {
  if (starved_) throw std::bad_alloc();
}

// Sends the current request's answer as it is produced. Returns whether the connection may carry
// another request.
asio::awaitable<bool> HttpConnection::answer() {
  begin_exchange();
  auto last_write = Clock::now();
  std::size_t num_probes = 0;
  auto last_probe = last_write;
  while (!broken_ && !stopping_) {
    check_memory();
    if (!out_->bytes.empty() || !out_->on_written.empty()) {
      auto on_written = std::exchange(out_->on_written, {});
      auto bytes = std::exchange(out_->bytes, {});
      out_->sent = out_->sent || !bytes.empty();
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
      const bool kept_alive = out_->started && !out_->idle_piece.empty() && interval.count() > 0;
      const auto quiet_until = kept_alive ? last_write + interval : never;
      co_await changed(std::min(quiet_until, probe_at));
      const bool quiet = out_->bytes.empty() && !out_->ended && Clock::now() >= quiet_until;
      if (quiet) send_piece(*out_, out_->idle_piece, {});
    }
  }
  const bool complete = out_->ended && !out_->abandoned && out_->bytes.empty() && !broken_;
  if (!complete) leave_answer();
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

asio::awaitable<bool> HttpConnection::write(std::string bytes) {
  output_ = std::move(bytes);
  co_return co_await write_rest(output_);
}

// `bytes` stay until they have left.
asio::awaitable<bool> HttpConnection::write_rest(std::string_view bytes) {
  rest_ = bytes;
  while (!rest_.empty() && !broken_) {
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
  transport_->read(input_, [self = shared_from_this()](error_code error) {
    self->reading_ = false;
    if (error == boost::system::errc::not_enough_memory) self->starved_ = true;
    if (error) self->peer_closed_ = true;
    self->only_sending_ended_ = error == asio::error::eof;
    self->changed_.cancel();
  });
  reading_ = true;
}

void HttpConnection::write_more() {
  const auto rest = asio::buffer(rest_.data(), rest_.size());
  transport_->write_some(rest, [self = shared_from_this()](error_code error, std::size_t size) {
    self->writing_ = false;
    if (error) self->broken_ = true;
    self->rest_.remove_prefix(size);
    self->changed_.cancel();
  });
  writing_ = true;
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

}  // namespace pippin::server
