#include "engine/masks.h"

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

StepMasks::StepMasks(const Batch& batch, std::int64_t vocabulary, MaskThreads& threads) {
  std::vector<Constraint*> constraints;
  for (const auto& chunk : batch.chunks)
    if (chunk.sample) constraints.push_back(chunk.sequence->constraint.get());
  masks_.resize(constraints.size());
  for (std::size_t i = 0; i < constraints.size(); ++i) {
    if (!constraints[i] || !constraints[i]->restricts()) continue;
    any_ = true;
    masks_[i].resize(text::mask_words(vocabulary));
    {
      std::lock_guard lock(mutex_);
      ++unfilled_;
    }
    threads.pool().post([this, constraint = constraints[i], i] { fill(*constraint, masks_[i]); });
  }
}

void StepMasks::fill(Constraint& constraint, std::vector<std::uint32_t>& mask) {
  constraint.fill(mask);
  // With the lock held: whoever waits may destroy this as soon as it is released.
  std::lock_guard lock(mutex_);
  if (--unfilled_ == 0) filled_.notify_all();
}

void StepMasks::wait() {
  std::unique_lock lock(mutex_);
  filled_.wait(lock, [this] { return unfilled_ == 0; });
}

std::span<const std::uint32_t> StepMasks::row(std::size_t i) {
  wait();
  return masks_[i];
}

}  // namespace pippin::engine
