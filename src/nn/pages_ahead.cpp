#include "nn/pages_ahead.h"

#include <algorithm>
#include <utility>

#include "base/memory.h"

namespace pippin::nn {
namespace {

constexpr std::size_t huge_page = std::size_t{2} << 20;

int pages_in_a_huge_page(const std::vector<std::span<std::uint8_t>>& pools, int num_pages) {
  std::size_t largest = 1;
  for (const auto& pool : pools)
    largest = std::max(largest, pool.size() / static_cast<std::size_t>(num_pages));
  return static_cast<int>(std::max<std::size_t>(1, huge_page / largest));
}

}  // namespace

PagesAhead::PagesAhead(std::vector<std::span<std::uint8_t>> pools, int num_pages)
    : pools_(std::move(pools)),
      num_pages_(num_pages),
      block_pages_(pages_in_a_huge_page(pools_, num_pages)),
      asked_(static_cast<std::size_t>((num_pages + block_pages_ - 1) / block_pages_)),
      thread_([this] { work(); }) {}

PagesAhead::~PagesAhead() {
  {
    const MutexLock lock(mutex_);
    stopping_ = true;
    interrupted_ = true;
  }
  wake_.notify_one();
  thread_.join();
}

void PagesAhead::use(int page) {
  const auto block = static_cast<std::size_t>(page / block_pages_);
  for (auto i = block; i < std::min(block + 2, asked_.size()); ++i) {
    if (asked_[i]) continue;
    asked_[i] = true;
    {
      const MutexLock lock(mutex_);
      wanted_.push_back(static_cast<int>(i));
    }
    wake_.notify_one();
  }
}

bool PagesAhead::wait(std::chrono::steady_clock::duration most) {
  MutexLock lock(mutex_);
  return rest_.wait_for(mutex_, most,
                        [this]() REQUIRES(mutex_) { return !busy_ && wanted_.empty(); });
}

void PagesAhead::forget() {
  asked_.assign(asked_.size(), false);
  MutexLock lock(mutex_);
  wanted_.clear();
  interrupted_ = true;
  rest_.wait(mutex_, [this]() REQUIRES(mutex_) { return !busy_; });
  interrupted_ = false;
}

void PagesAhead::work() {
  run_in_background();
  MutexLock lock(mutex_);
  for (;;) {
    wake_.wait(mutex_, [this]() REQUIRES(mutex_) { return stopping_ || !wanted_.empty(); });
    if (stopping_) return;
    const int block = wanted_.front();
    wanted_.pop_front();
    busy_ = true;
    lock.unlock();
    take(block);
    lock.lock();
    busy_ = false;
    rest_.notify_all();
  }
}

void PagesAhead::take(int block) const {
  const auto begin = static_cast<std::size_t>(block * block_pages_),
             end = static_cast<std::size_t>(std::min(num_pages_, (block + 1) * block_pages_));
  for (const auto& pool : pools_) {
    if (interrupted_) return;
    const auto page = pool.size() / static_cast<std::size_t>(num_pages_);
    take_memory(pool.data() + begin * page, (end - begin) * page);
  }
}

}  // namespace pippin::nn
