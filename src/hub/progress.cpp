#include "hub/progress.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>

#include <spdlog/fmt/fmt.h>

#include "base/log.h"

namespace pippin::hub {
namespace {

using namespace std::chrono_literals;

constexpr auto window = 5s;                // of the rate
constexpr auto terminal_interval = 100ms;  // between two drawings
constexpr auto log_interval = 5s;
constexpr double longest_estimate_s = 100 * 3600;

double seconds(std::chrono::steady_clock::duration time) {
  return std::chrono::duration<double>(time).count();
}

}  // namespace

void TransferRate::add(std::int64_t bytes, Time now) {
  pieces_.emplace_back(now, bytes);
  while (pieces_.front().first + window < now) pieces_.pop_front();
}

double TransferRate::bytes_per_second(Time now) const {
  if (pieces_.empty()) return 0;
  std::int64_t bytes = 0;
  for (const auto& [time, piece] : pieces_) bytes += piece;
  const double span = seconds(now - pieces_.front().first);
  return span > 0.2 ? std::max(0.0, static_cast<double>(bytes) / span) : 0;
}

Progress::Progress(std::string what, Screen screen, Now now)
    : what_(std::move(what)), screen_(std::move(screen)), now_(std::move(now)) {}

Progress::~Progress() {
  if (screen_.terminal) screen_.clear();
}

void Progress::expect(std::int64_t bytes) {
  const MutexLock lock(mutex_);
  expected_ += bytes;
}

void Progress::found(std::int64_t bytes) {
  const MutexLock lock(mutex_);
  done_ += bytes;
}

void Progress::arrived(std::int64_t bytes) {
  const MutexLock lock(mutex_);
  const auto now = now_();
  done_ += bytes;
  arrived_ += bytes;
  rate_.add(bytes, now);
  if (!shown_) shown_ = screen_.terminal ? now - 1s : now;
  if (now - *shown_ < (screen_.terminal ? std::chrono::milliseconds(terminal_interval)
                                        : std::chrono::milliseconds(log_interval)))
    return;
  shown_ = now;
  show(now);
}

std::int64_t Progress::num_arrived() const {
  const MutexLock lock(mutex_);
  return arrived_;
}

void Progress::say(const std::string& text) {
  const MutexLock lock(mutex_);
  if (screen_.terminal) screen_.clear();
  spdlog::info("{}", text);
}

void Progress::show(Clock::time_point now) {
  const double rate = rate_.bytes_per_second(now);
  const double left = rate > 0 ? static_cast<double>(expected_ - done_) / rate : -1;
  std::string text =
      fmt::format("{}: {} of {}", what_, readable_bytes(done_), readable_bytes(expected_));
  if (expected_ > 0) text += fmt::format(", {} %", done_ * 100 / expected_);
  if (rate > 0) text += fmt::format(", {}/s", readable_bytes(static_cast<std::int64_t>(rate)));
  if (left >= 0 && left < longest_estimate_s) text += fmt::format(", {} left", readable_time(left));
  screen_.line(text);
}

std::string readable_bytes(std::int64_t bytes) {
  constexpr std::array units = {"bytes", "KB", "MB", "GB", "TB"};
  double value = static_cast<double>(bytes);
  std::size_t unit = 0;
  for (; std::abs(value) >= 999.5 && unit + 1 < units.size(); ++unit) value /= 1000;
  const int decimals = unit == 0 ? 0 : value < 9.995 ? 2 : value < 99.95 ? 1 : 0;
  return fmt::format("{:.{}f} {}", value, decimals, units[unit]);
}

std::string readable_time(double seconds) {
  const auto whole = static_cast<std::int64_t>(std::ceil(seconds));
  if (whole >= 3600) return fmt::format("{} h {} min", whole / 3600, whole / 60 % 60);
  if (whole >= 60) return fmt::format("{} min {} s", whole / 60, whole % 60);
  return fmt::format("{} s", whole);
}

Screen standard_screen() {
  Screen screen;
  screen.terminal = ::isatty(STDERR_FILENO) == 1;
  if (screen.terminal)
    screen.line = [](const std::string& text) {
      std::fprintf(stderr, "\r%s\033[K", text.c_str());
      std::fflush(stderr);
    };
  else
    screen.line = [](const std::string& text) { spdlog::info("{}", text); };
  screen.clear = [] {
    std::fputs("\r\033[K", stderr);
    std::fflush(stderr);
  };
  return screen;
}

}  // namespace pippin::hub
