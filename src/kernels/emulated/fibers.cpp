#undef _FORTIFY_SOURCE  // its longjmp refuses to enter another stack, which Ubuntu turns on by default

#include "kernels/emulated/fibers.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "pippin/error.h"

// A context is entered once by ucontext, and left and entered by setjmp from then on, which asks nothing of the system. ThreadSanitizer
// knows the former alone. AddressSanitizer is told which stack is in use.
#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define PIPPIN_ANNOTATE_STACKS 1
#endif
#if __has_feature(thread_sanitizer)
#define PIPPIN_SWAP_CONTEXTS 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__)
#define PIPPIN_ANNOTATE_STACKS 1
#elif defined(__SANITIZE_THREAD__)
#define PIPPIN_SWAP_CONTEXTS 1
#endif
#ifdef PIPPIN_ANNOTATE_STACKS
#include <sanitizer/common_interface_defs.h>
#endif

namespace pippin::kernels::gpu::emulated {
namespace {

constexpr std::size_t stack_bytes = 64 << 10;
constexpr std::size_t shared_bytes = 32 << 10;  // what every GPU has
constexpr int warp_size = 32;

// The stack in use is about to change, and has changed. `kept` is where what the sanitizer keeps of the stack that is left is stored; null: it is left for good.
inline void before_switch([[maybe_unused]] void** kept, [[maybe_unused]] const void* stack,
                          [[maybe_unused]] std::size_t bytes) {
#ifdef PIPPIN_ANNOTATE_STACKS
  __sanitizer_start_switch_fiber(kept, stack, bytes);
#endif
}

inline void after_switch([[maybe_unused]] void* kept, [[maybe_unused]] const void** from = nullptr,
                         [[maybe_unused]] std::size_t* from_bytes = nullptr) {
#ifdef PIPPIN_ANNOTATE_STACKS
  __sanitizer_finish_switch_fiber(kept, from, from_bytes);
#endif
}

}  // namespace

Fibers& Fibers::now() {
  static thread_local Fibers fibers;
  return fibers;
}

// Threads outlive a run: entering a context anew costs two system calls.
void Fibers::start() {
  auto& self = now();
  after_switch(nullptr, &self.main_stack_, &self.main_stack_bytes_);
  const auto tid = static_cast<unsigned>(self.current_);
  auto& one = self.fibers_[tid];
  while (self.body_) {
    try {
      (*self.body_)(tid);
    } catch (...) {
      self.failure_ = std::current_exception();
    }
    one.done = true;
    self.meet(Meeting::none);
  }
  before_switch(nullptr, self.main_stack_, self.main_stack_bytes_);
  self.go_to_main(one);
}

Fibers::~Fibers() {
#ifdef PIPPIN_ANNOTATE_STACKS
  body_ = nullptr;
  for (std::size_t i = 0; i < fibers_.size(); ++i)
    if (fibers_[i].entered) resume(static_cast<int>(i));
#endif
}

[[gnu::noinline]] void Fibers::resume(int fiber) {
  current_ = fiber;
  auto& one = fibers_[static_cast<std::size_t>(fiber)];
  before_switch(&main_fake_stack_, one.stack.get(), stack_bytes);
  go_to(one);
  after_switch(main_fake_stack_);
}

[[gnu::noinline]] void Fibers::meet(Meeting meeting) {
  auto& one = fibers_[static_cast<std::size_t>(current_)];
  one.meeting = meeting;
  before_switch(&one.fake_stack, main_stack_, main_stack_bytes_);
  go_to_main(one);
  after_switch(one.fake_stack, &main_stack_, &main_stack_bytes_);
}

[[gnu::noinline]] void Fibers::go_to(Fiber& one) {
#ifdef PIPPIN_SWAP_CONTEXTS
  one.entered = true;
  swapcontext(&main_, &one.context);
#else
  if (_setjmp(main_place_)) return;
  if (one.entered) _longjmp(one.place, 1);
  one.entered = true;
  setcontext(&one.context);
#endif
}

[[gnu::noinline]] void Fibers::go_to_main(Fiber& one) {
#ifdef PIPPIN_SWAP_CONTEXTS
  swapcontext(&one.context, &main_);
#else
  if (!_setjmp(one.place)) _longjmp(main_place_, 1);
#endif
}

void Fibers::meet_group() { meet(Meeting::group); }

// What the threads of the warp have brought to this meeting, by thread.
const float* Fibers::gather(float x) {
  auto& one = fibers_[static_cast<std::size_t>(current_)];
  auto& values = exchanged_[one.exchanges++ % 2];
  values[static_cast<std::size_t>(current_)] = x;
  meet(Meeting::warp);
  return values.data();
}

float Fibers::exchange(float x, int mask) {
  const auto* values = gather(x);
  return values[current_ ^ mask];
}

// An exchange adds the same two numbers in both lanes, so that all lanes have one tree.
float Fibers::sum(float x, int lanes) {
  const auto* values = gather(x);
  float tree[warp_size];
  std::copy_n(values + current_ / lanes * lanes, lanes, tree);
  for (int i = lanes / 2; i > 0; i /= 2)
    for (int lane = 0; lane < i; ++lane) tree[lane] += tree[lane + i];
  return tree[0];
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

void Fibers::prepare(Fiber& one) {
  if (!one.entered) make_context(one);
  one.meeting = Meeting::none;
  one.done = false;
  one.exchanges = 0;
  one.shared = 0;
}

[[gnu::noinline]] void Fibers::make_context(Fiber& one) {
  one.stack = std::make_unique<char[]>(stack_bytes);
  getcontext(&one.context);
  one.context.uc_stack.ss_sp = one.stack.get();
  one.context.uc_stack.ss_size = stack_bytes;
  one.context.uc_link = nullptr;
  makecontext(&one.context, start, 0);
}

void Fibers::run(int count, const std::function<void(unsigned)>& body) {
  body_ = &body;
  shared_.assign(shared_bytes / sizeof(float), std::numeric_limits<float>::quiet_NaN());
  for (auto& values : exchanged_) values.resize(static_cast<std::size_t>(count));
  while (fibers_.size() < static_cast<std::size_t>(count)) fibers_.emplace_back();
  for (int i = 0; i < count; ++i) prepare(fibers_[static_cast<std::size_t>(i)]);
  try {
    run_all(count);
  } catch (...) {
    for (auto& one : fibers_)  // whoever was in the middle stays there; another takes the place
      if (!one.done) one.entered = false;
    throw;
  }
}

void Fibers::run_all(int count) {
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
