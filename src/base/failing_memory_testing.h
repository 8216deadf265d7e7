// Memory that runs out: each allocation of an operation fails in turn. For tests only; a test's program that uses it lists
// failing_memory_testing.cpp among its sources, which replaces operator new.
#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <string>

namespace pippin {

/// While it lives, operator new throws std::bad_alloc for some allocations of some threads. There is one at a time.
class FailingMemory {
 public:
  enum class Of {
    this_thread,    ///< the one that made it
    other_threads,  ///< all but this one and those that are spared
  };

  /// The first `begin` allocations succeed, the next `count` fail, all later ones succeed.
  explicit FailingMemory(std::int64_t begin, Of threads = Of::this_thread, std::int64_t count = 1);
  ~FailingMemory();
  FailingMemory(const FailingMemory&) = delete;
  FailingMemory& operator=(const FailingMemory&) = delete;

  /// Allocations so far, failed ones included.
  std::int64_t num_seen() const;
  /// Whether any has failed.
  bool has_failed() const;

  /// The calling thread's allocations never fail again under Of::other_threads: for a test's own threads.
  static void spare_this_thread();

 private:
  const std::int64_t begin_;
};

/// Calls attempt(0), attempt(1) ... each of which lets that allocation fail and returns whether it came to it; ends with the first that did
/// not, whose operation makes no more allocations. Returns how many there were.
template <class Attempt>
std::int64_t for_each_allocation(const Attempt& attempt, std::int64_t most = 5000) {
  for (std::int64_t number = 0; number < most; ++number) {
    const ::testing::ScopedTrace trace(__FILE__, __LINE__,
                                       "allocation " + std::to_string(number) + " fails");
    const bool failed = attempt(number);
    if (!failed) return number;
    if (::testing::Test::HasFatalFailure()) return number;
  }
  ADD_FAILURE() << "it makes more than " << most << " allocations";
  return most;
}

}  // namespace pippin
