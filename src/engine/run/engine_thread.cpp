#include "engine/run/engine_thread.h"

#include <mlx/mlx.h>

#include <algorithm>
#include <utility>

#include "base/log.h"

namespace pippin::engine {
namespace {

// MLX keeps freed GPU buffers for reuse, by default up to all memory; a step's temporaries fit in far less.
constexpr std::size_t kept_buffers = std::size_t{1} << 30;
// That people feel.
constexpr std::chrono::milliseconds long_part{100};

}  // namespace

void Waker::wake() {
  {
    const std::lock_guard lock(mutex_);
    woken_ = true;
  }
  changed_.notify_one();
}

std::shared_ptr<EngineThread> EngineThread::of_process() {
  // MLX makes a stream, with a thread of its own, for each thread that calls it, and never ends it. Not destroyed: MLX's own statics may go first.
  static const auto* const thread =
      new std::shared_ptr<EngineThread>(std::make_shared<EngineThread>());
  return *thread;
}

EngineThread::EngineThread() : thread_([this] { main(); }) {}

EngineThread::~EngineThread() {
  {
    const std::lock_guard lock(waker_->mutex_);
    waker_->stopping_ = true;
  }
  waker_->changed_.notify_one();
  thread_.join();
}

void EngineThread::call(const std::function<void()>& work) {
  Call call{work};
  {
    const std::lock_guard lock(mutex_);
    calls_.push_back(&call);
  }
  waker_->wake();
  std::unique_lock lock(mutex_);
  ended_.wait(lock, [&] { return call.done; });
  lock.unlock();
  if (call.failure) std::rethrow_exception(call.failure);
}

void EngineThread::add(Tenant& tenant) {
  const std::lock_guard lock(mutex_);
  tenants_.push_back(&tenant);
}

void EngineThread::remove(Tenant& tenant) {
  std::unique_lock lock(mutex_);
  std::erase(tenants_, &tenant);
  ended_.wait(lock, [&] { return at_work_ != &tenant; });
}

bool EngineThread::has_tenants() const {
  const std::lock_guard lock(mutex_);
  return !tenants_.empty();
}

void EngineThread::let_others_work() {
  const auto worked = Clock::now() - slice_begun_;
  if (worked < slice || gives_turns_) return;
  if (worked > long_part)
    spdlog::debug("[engine] others waited {} ms for a part of a load",
                  std::chrono::duration_cast<std::chrono::milliseconds>(worked).count());
  gives_turns_ = true;
  take_turns();
  gives_turns_ = false;
  slice_begun_ = Clock::now();
}

void EngineThread::main() {
  mlx::core::set_cache_limit(kept_buffers);
  for (;;) {
    {
      const std::lock_guard lock(waker_->mutex_);
      if (waker_->stopping_) return;
      waker_->woken_ = false;
    }
    // Not `||`: neither calls nor tenants may keep the others from their turn.
    const bool called = next_call();
    const bool busy = take_turns();
    if (!called && !busy) wait();
  }
}

// False where there is none.
bool EngineThread::next_call() {
  Call* call = nullptr;
  {
    const std::lock_guard lock(mutex_);
    if (calls_.empty()) return false;
    call = calls_.front();
    calls_.pop_front();
  }
  slice_begun_ = Clock::now();
  try {
    call->work();
  } catch (...) {
    call->failure = std::current_exception();
  }
  {
    const std::lock_guard lock(mutex_);
    call->done = true;  // from here on it may be gone
  }
  ended_.notify_all();
  return true;
}

// True where one of the tenants has more to do at once. A tenant that leaves meanwhile may cost another this turn.
bool EngineThread::take_turns() {
  bool busy = false;
  earliest_.reset();
  for (std::size_t i = 0;; ++i) {
    {
      const std::lock_guard lock(mutex_);
      if (i >= tenants_.size()) return busy;
      at_work_ = tenants_[i];
    }
    if (at_work_->turn()) {
      busy = true;
    } else if (const auto until = at_work_->rests_until()) {
      earliest_ = earliest_ ? std::min(*earliest_, *until) : *until;
    }
    {
      const std::lock_guard lock(mutex_);
      at_work_ = nullptr;
    }
    ended_.notify_all();
  }
}

void EngineThread::wait() {
  std::unique_lock lock(waker_->mutex_);
  const auto awake = [this] { return waker_->woken_ || waker_->stopping_; };
  if (earliest_)
    waker_->changed_.wait_until(lock, *earliest_, awake);
  else
    waker_->changed_.wait(lock, awake);
}

}  // namespace pippin::engine
