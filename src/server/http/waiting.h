// Connections that carry no request, and which of them goes first where there are too many. Internal to server/http.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include "base/mutex.h"

namespace pippin::server {

/// Knows of every connection whether it waits and since when, so that clients that open connections and send nothing whole hold no
/// place that others need. Thread-safe.
class WaitingConnections {
 public:
  using Clock = std::chrono::steady_clock;

  enum class Stage {
    header,  ///< a request's header is not whole yet
    idle,    ///< kept alive between two requests
  };

  /// max_per_address: connections of one address at Stage::header.
  explicit WaitingConnections(std::size_t max_per_address) : max_per_address_(max_per_address) {}

  /// The connection `number` waits from `now` on, or waits for something else. Returns the connection that has to go because its
  /// address has too many: the one of these that has waited longest. That one is no longer known here.
  std::optional<std::uint64_t> add(std::uint64_t number, const std::string& address, Stage stage,
                                   Clock::time_point now = Clock::now());
  void remove(std::uint64_t number);

  /// Takes out the connection that has waited longest; one whose header is late goes before idle ones.
  std::optional<std::uint64_t> take_oldest(Clock::time_point now = Clock::now());

 private:
  struct Entry {
    std::string address;
    Stage stage;
    std::uint64_t turn;
  };
  struct Turn {
    std::uint64_t number;
    Clock::time_point since;
  };
  using Queue = std::map<std::uint64_t, Turn>;  // by turn: the oldest first

  void enqueue(const Entry& entry, const Turn& turn) REQUIRES(mutex_);
  void forget(std::map<std::uint64_t, Entry>::iterator entry) REQUIRES(mutex_);
  std::uint64_t take(std::uint64_t number) REQUIRES(mutex_);
  Queue& of_stage(Stage stage) REQUIRES(mutex_) {
    return stage == Stage::header ? headers_ : idle_;
  }

  const std::size_t max_per_address_;
  Mutex mutex_;
  std::uint64_t next_turn_ GUARDED_BY(mutex_) = 0;
  std::map<std::uint64_t, Entry> entries_ GUARDED_BY(mutex_);   // by number
  Queue headers_ GUARDED_BY(mutex_), idle_ GUARDED_BY(mutex_);  // by stage
  std::map<std::string, Queue> by_address_ GUARDED_BY(mutex_);  // those at Stage::header
};

}  // namespace pippin::server
