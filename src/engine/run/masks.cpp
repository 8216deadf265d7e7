#include "engine/run/masks.h"

#include <algorithm>
#include <thread>

#include "text/grammar.h"

namespace pippin::engine {
namespace {

// A mask takes some ten microseconds; more threads than these would only take cores from the step itself.
constexpr unsigned max_threads = 4;

}  // namespace

ThreadPool& MaskThreads::pool() {
  if (!pool_) pool_.emplace(std::clamp(std::thread::hardware_concurrency() / 2, 1u, max_threads));
  return *pool_;
}

StepMasks::StepMasks(const Batch& batch, std::int64_t vocabulary, MaskThreads* threads) {
  for (const auto& chunk : batch.chunks) {
    constraints_.resize(constraints_.size() + static_cast<std::size_t>(scored_rows(chunk).size()));
    if (!chunk.sample) continue;
    auto* constraint = chunk.sequence->constraint.get();
    constraints_.push_back(constraint && constraint->restricts() ? constraint : nullptr);
  }
  masks_.resize(constraints_.size());
  for (std::size_t i = 0; i < constraints_.size(); ++i) {
    if (!constraints_[i]) continue;
    any_ = true;
    masks_[i].resize(text::mask_words(vocabulary));
    if (!threads) continue;
    {
      const MutexLock lock(mutex_);
      ++unfilled_;
    }
    threads->pool().post([this, i] { fill_and_tell(i); });
  }
}

void StepMasks::fill(std::size_t row) {
  if (constraints_[row]) constraints_[row]->fill(masks_[row]);
}

void StepMasks::fill_and_tell(std::size_t row) {
  fill(row);
  // With the lock held: whoever waits may destroy this as soon as it is released.
  const MutexLock lock(mutex_);
  if (--unfilled_ == 0) filled_.notify_all();
}

void StepMasks::wait() {
  MutexLock lock(mutex_);
  filled_.wait(mutex_, [this]() REQUIRES(mutex_) { return unfilled_ == 0; });
}

std::span<const std::uint32_t> StepMasks::row(std::size_t i) {
  wait();
  return masks_[i];
}

}  // namespace pippin::engine
