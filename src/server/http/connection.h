// One client's connection: reads requests in turn, sends each one's answer. Internal to
// server/http.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>

#include <atomic>
#include <optional>

#include "server/http/core.h"
#include "server/http/parser.h"

namespace pippin::server {

/// The answer of the request in progress, as far as it has been produced and not yet sent. I/O thread only.
struct Outgoing {
  std::uint64_t serial = 0;  ///< which request of the connection it answers
  bool head_only = false;    ///< HEAD: the body is counted but not sent
  bool keep_alive = true;
  bool chunked = true;  ///< false for HTTP/1.0
  bool started = false;
  bool sent = false;       ///< some of it, to the network
  bool ended = false;      ///< nothing more will be produced
  bool abandoned = false;  ///< it ended before the handler said so
  std::string request_id;
  std::shared_ptr<RequestRecord> record;  ///< shared with the exchange
  std::string bytes;                      ///< to be sent
  std::string idle_piece;                 ///< see Exchange::keep_alive_with
  std::vector<std::function<void()>> on_written;
  std::function<void()> on_disconnect;
  std::shared_ptr<std::atomic<bool>> gone;  ///< shared with the exchange
};

/// Owns the transport and with it the socket. Everything runs on the I/O thread, most of it in the coroutine run(),
/// which also keeps the connection alive; other threads only post to it. One read is
/// pending at any time while there is room for what it brings, so that a client's leaving is
/// noticed at once, and at most one write. The coroutine waits in one place only, for "something
/// changed or it is time" (see changed()): reads and writes are plain callbacks that note their
/// result and wake it.
class HttpConnection : public std::enable_shared_from_this<HttpConnection> {
 public:
  /// `number` is the core's name for it.
  HttpConnection(std::shared_ptr<HttpCore> core, std::uint64_t number,
                 std::unique_ptr<Transport> transport, Peer peer);
  ~HttpConnection();

  /// Starts run(); with `full`, only to say that the server is full.
  void start(bool full);
  /// Ends the connection when its current exchange has ended, or now. Any thread.
  void stop(bool now);
  /// Closes the connection where it carries no request: others need its place. Any thread.
  void evict();

  using Change = std::function<void(HttpConnection&, Outgoing&)>;
  /// Waits where there is no memory to pass it on. Runs `change` on the I/O thread with the answer numbered `serial`, if that is still the current
  /// one. Any thread.
  void update(std::uint64_t serial, std::shared_ptr<const Change> change);

  // What exchanges do to their answer, inside update().
  void send(Outgoing& out, const HttpResponse& response);
  void start_stream(Outgoing& out, const Headers& headers);
  void send_piece(Outgoing& out, std::string_view piece, std::function<void()> on_written);
  void end_stream(Outgoing& out);
  void cut_off(Outgoing& out);
  void set_on_disconnect(Outgoing& out, std::function<void()> gone);

 private:
  enum class Received {
    request,  // in parser_
    nothing,  // the client left, or the server is stopping
    failure,  // in failure_
  };

  asio::awaitable<void> run(bool full);
  asio::awaitable<bool> handshake();
  asio::awaitable<bool> first_byte();
  asio::awaitable<Received> receive();
  asio::awaitable<bool> answer();
  asio::awaitable<void> refuse(ParserFailure failure);
  asio::awaitable<bool> write(std::string bytes);
  asio::awaitable<void> close_after_reading();
  asio::awaitable<void> changed(Clock::time_point deadline);

  asio::awaitable<void> serve();
  asio::awaitable<void> talk(bool full);
  asio::awaitable<void> give_up();
  asio::awaitable<bool> room_for_body();
  asio::awaitable<bool> write_rest(std::string_view bytes);

  void read_more();
  void write_more();
  void tell_if_gone();
  void probe(Outgoing& out);
  void close();
  void make(std::uint64_t serial, const Change& change);
  void leave_answer();
  bool grow_body_room();
  void check_memory() const;
  void wait_for(WaitingConnections::Stage stage);
  void drop_request();
  void judge();
  bool wants_body() const;
  void begin_exchange();
  std::shared_ptr<RequestRecord> begin_record(std::string id);

  const std::shared_ptr<HttpCore> core_;
  const std::uint64_t number_;
  const std::unique_ptr<Transport> transport_;
  const asio::any_io_executor executor_;  // the transport's
  asio::steady_timer changed_;
  const Peer peer_;
  const std::size_t max_input_;  // bytes that may wait in input_

  std::string input_;  // received, not yet parsed
  bool reading_ = false;
  bool peer_closed_ = false;         // no more input will come
  bool only_sending_ended_ = false;  // as far as is known: the client may still read

  std::string output_;
  std::string_view rest_;  // to be sent, of output_ or of a constant
  bool writing_ = false;
  bool broken_ = false;  // no more output can go

  bool stopping_ = false;  // stop(true)
  bool starved_ = false;   // an event found no memory
  /// While no request is there: what is waited for.
  std::optional<WaitingConnections::Stage> waiting_ = WaitingConnections::Stage::header;
  std::optional<RequestParser> parser_;  // while a request is being read
  std::optional<HttpRequest> head_;      // of that request, once its header is whole
  Admission admission_;                  // of that request, the same
  std::size_t body_bytes_ = 0;           // that have come of its body
  ByteBudget::Lease body_room_;          // for these
  Clock::duration waited_for_room_{};    // all of that body's
  bool body_cut_ = false;                // the last request was answered before its body was read
  ParserFailure failure_;
  std::optional<Outgoing> out_;  // while a request is being answered
  std::uint64_t next_serial_ = 0;
};

}  // namespace pippin::server
