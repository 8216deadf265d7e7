#include "main/small_reserve.h"

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <memory>
#include <new>
#include <string_view>

#include "base/memory.h"

namespace pippin {
namespace {

constexpr std::size_t more = 64 << 20;  // bytes of address space that the process may still take

void use_up_memory() {
  const rlim_t limit = static_cast<rlim_t>(resident_bytes()) + more;
  const rlimit limits{limit, limit};
  setrlimit(RLIMIT_AS, &limits);
  for (std::size_t size = 1 << 20; size >= 16; size /= 2)
    while (std::malloc(size) != nullptr) {
    }
}

bool throws(std::size_t size) {
  try {
    ::operator delete(::operator new(size));
    return false;
  } catch (const std::bad_alloc&) {
    return true;
  }
}

// What fails, in a process without memory.
const char* fault_without_memory() {
  using Blocks = std::array<void*, small_reserve_blocks>;
  const auto blocks = std::make_unique<Blocks>();
  use_up_memory();
  if (!throws(1 << 20)) return "the system still had memory";
  if (!throws(small_allocation_bytes + 1)) return "what is not small came from the reserve";
  for (int turn = 0; turn < 2; ++turn) {  // what is given back comes again
    for (void*& block : *blocks) {
      block = ::operator new(small_allocation_bytes, std::nothrow);
      if (block == nullptr) return "the reserve is smaller than it should be";
    }
    if (!throws(1)) return "there was more than the reserve";
    for (void* block : *blocks) ::operator delete(block);
  }
  return nullptr;
}

// Has no memory for gtest's messages.
[[noreturn]] void try_without_memory() {
  const char* fault = fault_without_memory();
  if (fault != nullptr) {
    const std::string_view text = fault;
    if (write(STDERR_FILENO, text.data(), text.size()) < 0) std::_Exit(2);
  }
  std::_Exit(fault != nullptr ? 1 : 0);
}

TEST(SmallReserveDeathTest, SmallAllocationsSucceedWithoutMemory) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");  // MLX's libraries have started threads
  EXPECT_EXIT(try_without_memory(), ::testing::ExitedWithCode(0), "");
}

}  // namespace
}  // namespace pippin
