#include "base/timer.h"

#include <exception>

#include "base/insist.h"
#include "base/log.h"

namespace pippin {

Timer::Timer() : thread_([this] { run(); }) {}

Timer::~Timer() {
  {
    const MutexLock lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_one();
  thread_.join();
}

Timer::Id Timer::call_at(Clock::time_point time, std::function<void()> call) {
  Id id;
  bool first = false;
  {
    const MutexLock lock(mutex_);
    id = {time, next_number_++};
    const auto added = calls_.emplace(id, std::move(call)).first;
    first = added == calls_.begin();
  }
  if (first) changed_.notify_one();
  return id;
}

void Timer::cancel(const Id& id) {
  std::function<void()> dropped;  // destroyed without the lock
  const MutexLock lock(mutex_);
  const auto found = calls_.find(id);
  if (found == calls_.end()) return;
  dropped = std::move(found->second);
  calls_.erase(found);
}

void Timer::run() {
  MutexLock lock(mutex_);
  while (!stopping_) {
    if (calls_.empty()) {
      changed_.wait(mutex_);
      continue;
    }
    if (const auto next = calls_.begin()->first.first; next > Clock::now()) {
      changed_.wait_until(mutex_, next);
      continue;
    }
    auto call = calls_.extract(calls_.begin());
    lock.unlock();
    try {
      call.mapped()();
    } catch (const std::exception& error) {
      insist([&] { spdlog::error("[timer] a call failed: {}", error.what()); });
    }
    call = {};
    lock.lock();
  }
}

}  // namespace pippin
