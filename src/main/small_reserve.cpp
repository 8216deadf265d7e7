// The program's operator new. Where the system gives no more memory, small allocations come from a reserve, so that what must not
// throw does not: MLX notes an array that it frees in nodes of its own, in a destructor (MLX 0.32.4, CommonAllocator::free), and std::bad_alloc there would
// end the process. Allocations that a request's size decides are larger, and still throw.
// No part of a build with sanitizers, which have an operator new of their own.
#include "main/small_reserve.h"

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <functional>
#include <new>

#include "base/mutex.h"

namespace pippin {
namespace {

struct alignas(std::max_align_t) Block {
  union {
    Block* next = nullptr;  // of those that are free
    std::array<std::byte, small_allocation_bytes> bytes;
  };
};

// Constant-initialized: memory is asked for before any constructor has run.
class SmallReserve {
 public:
  void* take() {
    const MutexLock lock(mutex_);
    if (Block* block = free_) {
      free_ = block->next;
      return block;
    }
    return never_used_ < blocks_.size() ? &blocks_[never_used_++] : nullptr;
  }

  // False where it is none of its blocks.
  bool give_back(void* memory) {
    auto* block = static_cast<Block*>(memory);
    const std::less<> before;
    if (before(block, blocks_.data()) || !before(block, blocks_.data() + blocks_.size()))
      return false;
    const MutexLock lock(mutex_);
    block->next = free_;
    free_ = block;
    return true;
  }

 private:
  Mutex mutex_;
  Block* free_ GUARDED_BY(mutex_) = nullptr;
  std::size_t never_used_ GUARDED_BY(mutex_) = 0;
  std::array<Block, small_reserve_blocks> blocks_{};
};

constinit SmallReserve reserve;

}  // namespace
}  // namespace pippin

void* operator new(std::size_t size, const std::nothrow_t&) noexcept {
  if (void* memory = std::malloc(size > 0 ? size : 1)) return memory;
  return size <= pippin::small_allocation_bytes ? pippin::reserve.take() : nullptr;
}

void* operator new(std::size_t size) {
  if (void* memory = operator new(size, std::nothrow)) return memory;
  throw std::bad_alloc();
}

void operator delete(void* memory) noexcept {
  if (!pippin::reserve.give_back(memory)) std::free(memory);
}

void operator delete(void* memory, std::size_t) noexcept { operator delete(memory); }
