// A request from when it has been understood until its answer begins: whether anybody still waits for it.
#pragma once

#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>

#include "base/fair_queue.h"
#include "base/timer.h"
#include "pippin/error.h"
#include "server/http/exchange.h"

namespace pippin::server {

/// Work for one request is spread over threads, each of which asks here whether to go on. It ends once: by an error, which is answered;
/// by its deadline (504); because the client has gone; or because its answer begins. Thread-safe.
class RequestScope : public std::enable_shared_from_this<RequestScope> {
 public:
  /// timeout_s: until the deadline; 0: there is none. The timer must outlive it.
  static std::shared_ptr<RequestScope> begin(std::shared_ptr<Exchange> exchange, Timer& timer,
                                             double timeout_s);
  ~RequestScope();

  Exchange& exchange() const { return *exchange_; }
  const std::shared_ptr<Exchange>& shared_exchange() const { return exchange_; }
  /// Whose turns its work takes: of the API key that was shown, else of the address.
  const Client& client() const { return client_; }

  /// False once it has ended.
  bool wanted() const { return state_ == State::open; }
  std::function<bool()> asks_if_wanted();

  /// Runs `work` if it is wanted; the error that leaves it ends it. Takes no memory before, and throws nothing.
  template <class Work>
  void run(const Work& work) {
    if (!wanted()) return;
    try {
      work();
    } catch (...) {
      fail_with_current();
    }
  }
  /// Waits where there is no memory for the answer. Throws nothing.
  void fail(const Error& error);

  /// Called when it ends by any but answer_begins(), soon, on some thread: for whoever would wait for nothing.
  void on_end(std::function<void()> ended);

  /// From now on errors are told by `tell`, in place of a status: a stream has begun.
  void tell_errors_by(std::function<void(const Error&)> tell);

  /// Whoever answers keeps to the deadline from now on. False where it has ended: then there is nothing to answer.
  bool answer_begins();

  /// Until the deadline, at least a millisecond; absent where there is none.
  std::optional<double> seconds_left() const;

 private:
  enum class State { open, ended, answered };

  RequestScope(std::shared_ptr<Exchange> exchange, Timer& timer);
  void watch(double timeout_s);
  void fail_with_current();
  void fail_late();
  bool end(State state);
  void tell();

  const std::shared_ptr<Exchange> exchange_;
  Timer& timer_;
  const Client client_;
  std::atomic<State> state_ = State::open;
  std::optional<Timer::Id> deadline_;  // set before it is shared
  std::mutex mutex_;
  std::function<void()> ended_;                   // guarded
  std::function<void(const Error&)> tell_error_;  // guarded
};

}  // namespace pippin::server
