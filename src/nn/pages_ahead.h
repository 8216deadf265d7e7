// Takes the memory of KV pages from the system before they are used.
//
// Pools in host memory take theirs as they are written. New memory is dear: the system clears it, and a virtual machine has to ask
// its host for it first. Huge pages bring that on in bursts: a pool's holds dozens of KV pages, and all pools come to the end of
// theirs at about the same token, whose step then takes as long as several others.
#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <span>
#include <thread>
#include <vector>

#include "base/mutex.h"

namespace pippin::nn {

/// Owns a thread that takes memory by blocks, as many pages as fill a huge page in each pool, at a lower priority. It
/// changes nothing there, so the pools may be used meanwhile. One thread calls, and the pools outlive this.
class PagesAhead {
 public:
  /// `pools`: the bytes of each pool, num_pages runs of equal size.
  PagesAhead(std::vector<std::span<std::uint8_t>> pools, int num_pages);
  ~PagesAhead();
  PagesAhead(const PagesAhead&) = delete;
  PagesAhead& operator=(const PagesAhead&) = delete;

  /// The page is used from now on: has the memory of its block and of the next one taken, where that has not been. Returns at once.
  void use(int page);
  /// Waits until all that was asked for is there, but not longer than that; returns whether it is.
  bool wait(std::chrono::steady_clock::duration most);
  /// Memory is about to be given back: takes none before use() says anew what is wanted.
  void forget();

  int pages_in_a_block() const { return block_pages_; }

 private:
  void work();
  void take(int block) const;

  const std::vector<std::span<std::uint8_t>> pools_;
  const int num_pages_;
  const int block_pages_;
  std::vector<bool> asked_;  ///< the caller's: of each block, whether it was asked for

  Mutex mutex_;
  ConditionVariable wake_, rest_;
  std::deque<int> wanted_ GUARDED_BY(mutex_);  // blocks
  bool busy_ GUARDED_BY(mutex_) = false;       // one is being taken
  bool stopping_ GUARDED_BY(mutex_) = false;
  std::atomic<bool> interrupted_ = false;  ///< what is being taken is not wanted any more
  std::thread thread_;
};

}  // namespace pippin::nn
