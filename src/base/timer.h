// Calls that are made at a time.
#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <thread>
#include <utility>

#include "base/mutex.h"

namespace pippin {

/// Owns a thread, on which calls are made; they must be short. Thread-safe. Calls whose time has not come when it is destroyed are
/// never made.
class Timer {
 public:
  using Clock = std::chrono::steady_clock;
  /// Names one call, by its time and a number.
  using Id = std::pair<Clock::time_point, std::uint64_t>;

  Timer();
  ~Timer();
  Timer(const Timer&) = delete;
  Timer& operator=(const Timer&) = delete;

  Id call_at(Clock::time_point time, std::function<void()> call);
  /// Unless it has been made or is being made.
  void cancel(const Id& id);

 private:
  void run();

  Mutex mutex_;
  ConditionVariable changed_;
  std::map<Id, std::function<void()>> calls_ GUARDED_BY(mutex_);  // the next one first
  std::uint64_t next_number_ GUARDED_BY(mutex_) = 0;
  bool stopping_ GUARDED_BY(mutex_) = false;
  std::thread thread_;
};

}  // namespace pippin
