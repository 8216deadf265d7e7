#undef _FORTIFY_SOURCE  // its longjmp refuses to enter another stack, which Ubuntu turns on by default

#include "kernels/gpu/fibers.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "pippin/error.h"

// A context is entered once by ucontext, and left and entered by setjmp from then on, which asks nothing of the system. Sanitizers know
// the former alone.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define PIPPIN_SWAP_CONTEXTS 1
#else
#define PIPPIN_SWAP_CONTEXTS 0
#endif

namespace pippin::kernels::gpu::emulated {
namespace {

constexpr std::size_t stack_bytes = 64 << 10;
constexpr std::size_t shared_bytes = 32 << 10;  // what every GPU has
constexpr int warp_size = 32;

}  // namespace

Fibers& Fibers::now() {
  static thread_local Fibers fibers;
  return fibers;
}

void Fibers::start() {
  auto& self = now();
  try {
    (*self.body_)(static_cast<unsigned>(self.current_));
  } catch (...) {
    self.failure_ = std::current_exception();
  }
  self.fibers_[static_cast<std::size_t>(self.current_)].done = true;
  self.meet(Meeting::none);
}

[[gnu::noinline]] void Fibers::resume(int fiber) {
  current_ = fiber;
  auto& one = fibers_[static_cast<std::size_t>(fiber)];
#if PIPPIN_SWAP_CONTEXTS
  swapcontext(&main_, &one.context);
#else
  if (_setjmp(main_place_)) return;
  if (one.started) _longjmp(one.place, 1);
  one.started = true;
  setcontext(&one.context);
#endif
}

[[gnu::noinline]] void Fibers::meet(Meeting meeting) {
  auto& one = fibers_[static_cast<std::size_t>(current_)];
  one.meeting = meeting;
#if PIPPIN_SWAP_CONTEXTS
  swapcontext(&one.context, &main_);
#else
  if (!_setjmp(one.place)) _longjmp(main_place_, 1);
#endif
}

void Fibers::meet_group() { meet(Meeting::group); }

float Fibers::exchange(float x, int mask) {
  auto& one = fibers_[static_cast<std::size_t>(current_)];
  const int turn = one.exchanges++ % 2;
  one.values[turn] = x;
  meet(Meeting::warp);
  return fibers_[static_cast<std::size_t>(current_ ^ mask)].values[turn];
}

void* Fibers::shared(std::size_t bytes) {
  auto& begin = fibers_[static_cast<std::size_t>(current_)].shared;
  const auto at = begin;
  begin += (bytes + 15) / 16 * 16;
  if (begin > shared_bytes) throw Error(Code::internal, "[gpu] a group shares more than 32 KB");
  return reinterpret_cast<char*>(shared_.data()) + at;
}

void Fibers::require_all(int first, int count, Meeting meeting) const {
  for (int i = first; i < first + count; ++i) {
    const auto& one = fibers_[static_cast<std::size_t>(i)];
    if (one.done != (meeting == Meeting::none) || one.meeting != meeting)
      throw Error(Code::internal, "[gpu] threads diverge at a collective operation");
  }
}

// As far as it gets: until its lanes have ended or wait for other warps.
void Fibers::run_warp(int first) {
  const auto& leader = fibers_[static_cast<std::size_t>(first)];
  do {
    for (int i = first; i < first + warp_size; ++i) resume(i);
    if (failure_) std::rethrow_exception(std::exchange(failure_, nullptr));
    require_all(first, warp_size, leader.meeting);
  } while (leader.meeting == Meeting::warp);
}

[[gnu::noinline]] void Fibers::prepare(Fiber& one) {
  if (!one.stack) one.stack = std::make_unique<char[]>(stack_bytes);
  getcontext(&one.context);
  one.context.uc_stack.ss_sp = one.stack.get();
  one.context.uc_stack.ss_size = stack_bytes;
  one.context.uc_link = nullptr;
  makecontext(&one.context, start, 0);
  one.meeting = Meeting::none;
  one.started = one.done = false;
  one.exchanges = 0;
  one.shared = 0;
}

void Fibers::run(int count, const std::function<void(unsigned)>& body) {
  body_ = &body;
  shared_.assign(shared_bytes / sizeof(float), std::numeric_limits<float>::quiet_NaN());
  fibers_.resize(static_cast<std::size_t>(count));
  for (auto& one : fibers_) prepare(one);
  for (bool alive = true; alive;) {
    alive = false;
    for (int warp = 0; warp < count; warp += warp_size) {
      if (fibers_[static_cast<std::size_t>(warp)].done) continue;
      run_warp(warp);
      alive = alive || !fibers_[static_cast<std::size_t>(warp)].done;
    }
    if (alive) require_all(0, count, Meeting::group);
  }
}

}  // namespace pippin::kernels::gpu::emulated
