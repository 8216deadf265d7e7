#include "kernels/cpu/team.h"

#include <algorithm>
#include <cmath>
#include <fstream>
#include <string>
#include <utility>

#ifdef __linux__
#include <sched.h>
#endif

namespace pippin::cpu {
namespace {

constexpr int spins_before_sleep = 2000;
constexpr std::uint64_t open_bit = std::uint64_t{1} << 31;

void pause() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("isb");
#endif
}

int cores_of_affinity() {
#ifdef __linux__
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof(set), &set) == 0) return CPU_COUNT(&set);
#endif
  return static_cast<int>(std::thread::hardware_concurrency());
}

// cgroup v2's "quota period" (in microseconds, or "max"); where there is none, no limit.
double cores_of_quota() {
  std::ifstream file("/sys/fs/cgroup/cpu.max");  // Linux only; elsewhere it can't be opened
  std::string quota;
  double period = 0;
  if (!(file >> quota >> period) || quota == "max" || period <= 0) return HUGE_VAL;
  return std::stod(quota) / period;
}

std::uint64_t inside(std::uint64_t state) { return state & (open_bit - 1); }
std::uint64_t job_of(std::uint64_t state) { return state >> 32; }

}  // namespace

int usable_cores() {
  const double cores = std::min<double>(cores_of_affinity(), std::ceil(cores_of_quota()));
  return std::max(1, static_cast<int>(cores));
}

namespace {

// Ends the threads that have begun, where one more can't be had, too.
template <class Posted>
void stop(std::atomic<bool>& stopping, Posted& posted, std::vector<std::thread>& workers) {
  stopping = true;
  ++posted;
  posted.notify_all();
  for (auto& worker : workers) worker.join();
  workers.clear();
}

}  // namespace

Team::Team(int num_threads) {
  try {
    for (int i = 1; i < num_threads; ++i) workers_.emplace_back([this, i] { work(i); });
  } catch (...) {
    stop(stopping_, posted_, workers_);
    throw;
  }
}

Team::~Team() { stop(stopping_, posted_, workers_); }

// Three quarters of a thread's even share of what is left.
std::int64_t Team::take_guided(std::int64_t& begin) {
  begin = next_.load(std::memory_order_relaxed);
  for (;;) {
    const auto share = (n_ - begin) * 3 / (4 * size());
    const auto count = std::max(grain_, share / grain_ * grain_);
    if (begin >= n_ || next_.compare_exchange_weak(begin, begin + count, std::memory_order_relaxed))
      return count;
  }
}

void Team::take_pieces(int thread) noexcept {
  try {
    for (;;) {
      std::int64_t begin, count = grain_;
      if (guided_)
        count = take_guided(begin);
      else
        begin = next_.fetch_add(grain_, std::memory_order_relaxed);
      if (begin >= n_) return;
      call_(body_, begin, std::min(begin + count, n_), thread);
    }
  } catch (...) {
    next_.store(n_, std::memory_order_relaxed);  // nobody begins a further piece
    if (!failed_.exchange(true)) failure_ = std::current_exception();
  }
}

void Team::run(std::int64_t n, std::int64_t grain, Call call, const void* body) {
  n_ = n, grain_ = grain, call_ = call, body_ = body;
  next_.store(0, std::memory_order_relaxed);
  const auto job = job_of(state_.load(std::memory_order_relaxed)) + 1;
  state_.store((job << 32) | open_bit, std::memory_order_release);
  posted_.fetch_add(1);
  if (sleepers_.load() > 0) posted_.notify_all();
  take_pieces(0);
  // Pieces are all handed out: whoever has not entered has nothing to do any more.
  auto state = state_.fetch_and(~open_bit) & ~open_bit;
  for (int spins = 0; inside(state) > 0; state = state_.load(std::memory_order_acquire)) {
    if (++spins < spins_before_sleep)
      pause();
    else
      state_.wait(state);
  }
  if (failed_.exchange(false)) std::rethrow_exception(std::exchange(failure_, nullptr));
}

void Team::work(int thread) {
  std::uint64_t seen = 0;
  for (;;) {
    const auto posted = posted_.load();
    if (stopping_) return;
    auto state = state_.load(std::memory_order_acquire);
    if (job_of(state) != seen && (state & open_bit)) {
      if (!state_.compare_exchange_weak(state, state + 1)) continue;
      seen = job_of(state);
      take_pieces(thread);
      // The caller sleeps only on a closed job; it is woken by the last to leave.
      const auto left = state_.fetch_sub(1) - 1;
      if (!(left & open_bit) && inside(left) == 0) state_.notify_all();
      continue;
    }
    bool changed = false;
    for (int i = 0; i < spins_before_sleep && !changed; ++i) {
      pause();
      changed = posted_.load(std::memory_order_acquire) != posted;
    }
    if (changed) continue;
    ++sleepers_;
    posted_.wait(posted);
    --sleepers_;
  }
}

}  // namespace pippin::cpu
