// Calls that are made at a time.
#pragma once

#include <chrono>
#include <condition_variable>
#include <functional>
#include <map>
#include <mutex>
#include <thread>
#include <utility>

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

  std::mutex mutex_;
  std::condition_variable changed_;
  std::map<Id, std::function<void()>> calls_;  // guarded; the next one first
  std::uint64_t next_number_ = 0;              // guarded
  bool stopping_ = false;                      // guarded
  std::thread thread_;
};

}  // namespace pippin
