// What the connections of one server share. Internal to server/http.
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>

#include <atomic>
#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "base/byte_budget.h"
#include "base/mutex.h"
#include "server/http/server.h"
#include "server/http/transport.h"
#include "server/http/waiting.h"

namespace pippin::server {

namespace asio = boost::asio;
using boost::asio::ip::tcp;
using Clock = std::chrono::steady_clock;

class HttpConnection;

/// Who is at a connection's other end.
struct Peer {
  std::string name;     ///< "127.0.0.1:54321"
  std::string address;  ///< stands for the machine or network that connections are counted by
};

/// How many exchanges are alive; each holds it, as it may outlive the server. Thread-safe.
class ExchangeCount {
 public:
  void add(int change);
  /// One of them has a large body: when none is left the heap gives back what their bodies, and what was made of those, took.
  void note_large_body();
  bool wait_until_none(std::chrono::milliseconds patience);

 private:
  Mutex mutex_;
  ConditionVariable none_;
  int count_ GUARDED_BY(mutex_) = 0;
  bool had_large_ GUARDED_BY(mutex_) = false;
};

/// Owns the io_context, the listening socket and the I/O thread. Connections hold it, so that
/// whatever still holds a connection keeps it valid; it keeps no connection alive (each lives by
/// its own coroutine). What is marked "I/O" is touched on that thread only. There are no strands: one hands its queue on in a
/// destructor, which ends the process where there is no memory for that (Boost.Asio 1.81).
class HttpCore : public std::enable_shared_from_this<HttpCore> {
 public:
  HttpCore(const HttpOptions& options, ThreadPool& pool);

  void start(Router router, RequestObserver observer, Gate gate);
  void wait();
  void stop_on_signals(std::chrono::milliseconds drain);
  void shutdown(std::chrono::milliseconds drain);

  const HttpOptions& options() const { return options_; }
  const std::shared_ptr<ExchangeCount>& exchanges() { return exchanges_; }
  const RequestObserver& observer() const { return observer_; }
  std::uint16_t port() const { return port_; }
  bool on_loopback() const { return on_loopback_; }
  bool draining() const { return draining_; }

  /// Runs `task` on a worker. Waits where there is no memory to hand it over.
  void post(std::function<void()> task);
  /// What the gate says of a request's header.
  Admission judge(const HttpRequest& head) const { return gate_ ? gate_(head) : Admission(); }
  /// Routes the exchange to its handler, or answers 404, 405 or 415.
  void dispatch(std::shared_ptr<Exchange> exchange);
  /// Called by a connection when it begins to wait, or waits for something else, and when a request's header is whole.
  void waits(std::uint64_t number, const std::string& address, WaitingConnections::Stage stage);
  void waits_no_more(std::uint64_t number) { waiting_.remove(number); }
  /// Router::canonical.
  std::string canonical_path(std::string_view path) const { return router_.canonical(path); }
  ErrorShape error_shape(std::string_view path) const { return router_.error_shape(path); }
  /// Called by a connection as it ends.
  void remove(std::uint64_t number);
  /// The room of all bodies; a lease is grown as one arrives.
  ByteBudget& bodies() { return bodies_; }
  void count_refused_body() { ++refused_bodies_; }
  BodyStats body_stats() const;
  /// A request id that no other request has.
  std::string make_id();

 private:
  void bind();
  void bind_port();
  void bind_file();
  void listen();
  void accept_next();
  void accept_again();
  template <class Acceptor>
  void accept_from(Acceptor& acceptor);
  template <class Socket>
  void try_admit(Socket socket);
  void admit(StreamSocket socket, Peer peer);
  bool make_room();
  void evict(std::uint64_t number);
  void retry_accept_later();
  void await_signal(std::chrono::milliseconds drain);
  void begin_drain(std::chrono::milliseconds drain);
  void stop_connections(bool now);
  void finish_if_empty();
  void run_io();

  const HttpOptions options_;
  const std::unique_ptr<asio::ssl::context> tls_;  // null: HTTP
  Router router_;                                  // set by start(), before the thread
  RequestObserver observer_;                       // set by start(), before the thread
  Gate gate_;                                      // set by start(), before the thread
  ThreadPool& pool_;
  std::uint16_t port_ = 0;
  bool on_loopback_ = false;
  ByteBudget bodies_;
  std::atomic<std::int64_t> refused_bodies_{0};
  std::uint64_t id_seed_ = 0;
  std::atomic<std::uint64_t> next_id_{0};
  std::atomic<bool> draining_ = false;
  const std::shared_ptr<ExchangeCount> exchanges_ = std::make_shared<ExchangeCount>();

  asio::io_context io_;
  tcp::acceptor acceptor_;                                // I/O
  asio::local::stream_protocol::acceptor file_acceptor_;  // I/O; open in place of the other
  asio::steady_timer drain_timer_;                        // I/O
  asio::steady_timer accept_timer_;                       // I/O
  asio::signal_set signals_;                              // I/O
  std::map<std::uint64_t, std::weak_ptr<HttpConnection>> connections_;  // I/O; each removes itself
  std::set<std::uint64_t> leaving_;  // I/O; of those, the ones that were evicted
  WaitingConnections waiting_;
  std::uint64_t next_connection_ = 0;  // I/O
  std::thread thread_;                 // start() and wait() only
};

}  // namespace pippin::server
