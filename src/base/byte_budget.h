// Memory that many tasks share: each says before it begins how much it needs, and waits for it.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>

#include "base/fair_queue.h"

namespace pippin {

/// Hands out so many bytes at most. Those that wait are served in turn (FairQueue), and nobody passes the next one, so that large ones
/// get theirs, too. Thread-safe; what was handed out may outlive it.
class ByteBudget {
 public:
  /// Bytes that were handed out; they return when it is destroyed, which takes no memory. Used by one thread at a time.
  class Lease {
   public:
    Lease() = default;
    Lease(Lease&& other) noexcept;
    Lease& operator=(Lease&& other) noexcept;
    ~Lease();

    std::int64_t bytes() const { return bytes_; }
    /// Parts with `bytes` of it (at most what it has).
    Lease split(std::int64_t bytes);
    /// Takes `bytes` more where there are any that nobody waits for; else changes nothing and returns false.
    bool grow(std::int64_t bytes);

   private:
    friend class ByteBudget;
    struct State;
    Lease(std::shared_ptr<State> state, std::int64_t bytes);
    std::shared_ptr<State> state_;
    std::int64_t bytes_ = 0;
  };

  struct Stats {
    std::int64_t limit = 0, used = 0;  ///< bytes
    std::int64_t waiting = 0;          ///< who wait for some
  };

  using Granted = std::function<void(Lease)>;

  /// `reclaim` is asked, on any thread, for bytes that are only kept: it drops about so many, if there are any.
  explicit ByteBudget(std::int64_t limit, std::function<void(std::int64_t bytes)> reclaim = {});
  ~ByteBudget();
  ByteBudget(const ByteBudget&) = delete;
  ByteBudget& operator=(const ByteBudget&) = delete;

  std::int64_t limit() const;

  /// A lease of none, to be grown.
  Lease none();

  /// Calls `granted` once, on this thread or on the one that returned the bytes: it must only pass the word on,
  /// and answer for its own errors. `wanted` is asked before; where it says no, the place in the queue is given up. bytes: at most limit().
  /// Throws std::bad_alloc where there is no memory to wait; then nothing is called.
  void take(const Client& client, std::int64_t bytes, std::function<bool()> wanted,
            Granted granted);

  /// To be called where somebody's `wanted` has become false, for those behind.
  void look_again();
  /// The same, also when the budget has gone: for whoever lets go of bytes that `reclaim` may drop then.
  std::function<void()> looks_again() const;

  Stats stats() const;

 private:
  std::shared_ptr<Lease::State> state_;
};

}  // namespace pippin
