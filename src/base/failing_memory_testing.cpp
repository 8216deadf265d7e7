#include "base/failing_memory_testing.h"

#include <atomic>
#include <cstddef>
#include <cstdlib>
#include <limits>
#include <new>

namespace pippin {
namespace {

constexpr std::int64_t never = std::numeric_limits<std::int64_t>::max();

// Allocations [begin, end) fail; read by every allocation of the program.
std::atomic<std::int64_t> failing_begin{never}, failing_end{never}, num_allocations{0};
std::atomic<bool> is_on{false}, of_others{false};
// Whose address tells threads apart.
thread_local char this_thread_mark = 0;
std::atomic<const char*> owner{nullptr};
thread_local bool is_spared = false;

bool is_meant() {
  const bool own = owner.load() == &this_thread_mark;
  return of_others.load() ? !own && !is_spared : own;
}

bool fails_now() {
  if (!is_on.load(std::memory_order_relaxed) || !is_meant()) return false;
  const std::int64_t number = num_allocations.fetch_add(1);
  return number >= failing_begin.load() && number < failing_end.load();
}

}  // namespace

FailingMemory::FailingMemory(std::int64_t begin, Of threads, std::int64_t count) : begin_(begin) {
  owner = &this_thread_mark;
  of_others = threads == Of::other_threads;
  num_allocations = 0;
  failing_begin = begin;
  failing_end = begin + count;
  is_on = true;
}

FailingMemory::~FailingMemory() { is_on = false; }

std::int64_t FailingMemory::num_seen() const { return num_allocations; }

bool FailingMemory::has_failed() const { return num_seen() > begin_; }

void FailingMemory::spare_this_thread() { is_spared = true; }

}  // namespace pippin

// Not inlined: GCC would take malloc for another operator's memory.
[[gnu::noinline]] void* operator new(std::size_t size) {
  void* memory = pippin::fails_now() ? nullptr : std::malloc(size == 0 ? 1 : size);
  if (memory == nullptr) throw std::bad_alloc();
  return memory;
}
// AddressSanitizer has one of its own, whose memory is not for the delete below: libraries sort by it.
[[gnu::noinline]] void* operator new(std::size_t size, const std::nothrow_t&) noexcept {
  return pippin::fails_now() ? nullptr : std::malloc(size == 0 ? 1 : size);
}
[[gnu::noinline]] void operator delete(void* memory) noexcept { std::free(memory); }
[[gnu::noinline]] void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }
[[gnu::noinline]] void operator delete(void* memory, const std::nothrow_t&) noexcept {
  std::free(memory);
}
