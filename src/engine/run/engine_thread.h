// The only thread that calls MLX: engines take turns on it.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <deque>
#include <exception>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

namespace pippin::engine {

/// Wakes the thread. Whoever has it may outlive the thread.
class Waker {
 public:
  void wake();

 private:
  friend class EngineThread;
  std::mutex mutex_;
  std::condition_variable changed_;
  bool woken_ = false;     // guarded by mutex_
  bool stopping_ = false;  // guarded by mutex_
};

/// Owned by the engines of a process together. Each of them is a tenant, which gets a turn after the other; a model is loaded by a call, between whose
/// parts the tenants get turns, too. So neither a step nor a load holds another engine up for longer than one of its parts.
class EngineThread {
 public:
  using Clock = std::chrono::steady_clock;

  class Tenant {
   public:
    virtual ~Tenant() = default;
    /// Does a part of its work, on the thread. True where there is more to do at once. Throws nothing.
    virtual bool turn() = 0;
    /// When it wants a turn though nobody wakes the thread. Asked on the thread, after a turn that returned false.
    virtual std::optional<Clock::time_point> rests_until() const = 0;
  };

  /// The one that engines of this process share: it lives as long as the process.
  static std::shared_ptr<EngineThread> of_process();

  EngineThread();
  /// Tenants have left by then. Not on the thread itself.
  ~EngineThread();
  EngineThread(const EngineThread&) = delete;
  EngineThread& operator=(const EngineThread&) = delete;

  /// Runs `work` on the thread, waits for it and rethrows its exception. Calls run one after the other.
  void call(const std::function<void()>& work);

  /// For the work of a call, between two of its parts: gives each tenant a turn where the work has had the thread for `slice`.
  void let_others_work();
  static constexpr std::chrono::milliseconds slice{25};

  /// On the thread, by the work of a call.
  void add(Tenant& tenant);
  /// Waits for the end of its turn. Takes no memory. Not on the thread.
  void remove(Tenant& tenant);
  /// Whether the thread has anybody to serve beside the call that asks.
  bool has_tenants() const;

  const std::shared_ptr<Waker>& waker() const { return waker_; }

 private:
  struct Call {
    const std::function<void()>& work;
    std::exception_ptr failure = nullptr;
    bool done = false;
  };

  void main();
  bool next_call();
  bool take_turns();
  void wait();

  const std::shared_ptr<Waker> waker_ = std::make_shared<Waker>();
  mutable std::mutex mutex_;
  std::condition_variable ended_;  ///< a turn or a call
  std::deque<Call*> calls_;        // guarded by mutex_; the callers own them
  std::vector<Tenant*> tenants_;   // guarded by mutex_
  Tenant* at_work_ = nullptr;      // guarded by mutex_: whose turn it is
  // Used by the thread alone.
  std::optional<Clock::time_point> earliest_;  ///< end of the tenants' rest
  Clock::time_point slice_begun_{};            ///< of the running call
  bool gives_turns_ = false;                   ///< it pauses, which work within a turn does not
  std::thread thread_;
};

}  // namespace pippin::engine
