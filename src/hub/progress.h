// How far a download is.
#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>
#include <optional>
#include <string>
#include <utility>

#include "base/mutex.h"

namespace pippin::hub {

/// Bytes a second over the last few seconds.
class TransferRate {
 public:
  using Time = std::chrono::steady_clock::time_point;

  void add(std::int64_t bytes, Time now);
  /// 0 while too little is known.
  double bytes_per_second(Time now) const;

 private:
  std::deque<std::pair<Time, std::int64_t>> pieces_;
};

/// Where what is said of a download goes.
struct Screen {
  bool terminal = false;                         ///< one line that is drawn again and again
  std::function<void(const std::string&)> line;  ///< shows the line, or logs it
  std::function<void()> clear;                   ///< takes the terminal's line away
};

/// Thread-safe.
class Progress {
 public:
  using Clock = std::chrono::steady_clock;
  using Now = std::function<Clock::time_point()>;

  Progress(std::string what, Screen screen, Now now = Clock::now);
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  /// Bytes more that will have to come, those in the cache included.
  void expect(std::int64_t bytes);
  /// They were there already.
  void found(std::int64_t bytes);
  /// They came; negative: they came in vain.
  void arrived(std::int64_t bytes);
  /// Of those that came. Not those that were there.
  std::int64_t num_arrived() const;
  /// A line of its own.
  void say(const std::string& text);

 private:
  void show(Clock::time_point now) REQUIRES(mutex_);

  const std::string what_;
  const Screen screen_;
  const Now now_;
  mutable Mutex mutex_;
  std::int64_t expected_ GUARDED_BY(mutex_) = 0;
  std::int64_t done_ GUARDED_BY(mutex_) = 0;
  std::int64_t arrived_ GUARDED_BY(mutex_) = 0;
  TransferRate rate_ GUARDED_BY(mutex_);
  std::optional<Clock::time_point> shown_ GUARDED_BY(mutex_);
};

/// "1.23 GB", in powers of ten as the hub counts.
std::string readable_bytes(std::int64_t bytes);
/// "1 h 2 min", "3 min 4 s" or "5 s".
std::string readable_time(double seconds);

/// Standard error where it is a terminal, else the log.
Screen standard_screen();

}  // namespace pippin::hub
