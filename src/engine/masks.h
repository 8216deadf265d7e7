// Which tokens the rows of a step may take, found out while the step is computed.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <vector>

#include "base/thread_pool.h"
#include "engine/scheduler.h"

namespace pippin::engine {

/// Owns the threads that fill masks; none before they are wanted. Used by the engine's thread.
class MaskThreads {
 public:
  ThreadPool& pool();

 private:
  std::optional<ThreadPool> pool_;
};

/// The masks of one step's sampled rows. Filling begins with it and is over when it is destroyed, whatever happens between: a
/// constraint is not to be touched meanwhile.
class StepMasks {
 public:
  /// `vocabulary`: tokens in a row of logits.
  StepMasks(const Batch& batch, std::int64_t vocabulary, MaskThreads& threads);
  ~StepMasks() { wait(); }
  StepMasks(const StepMasks&) = delete;
  StepMasks& operator=(const StepMasks&) = delete;

  bool any() const { return any_; }
  /// Of the i-th sampled row, as Constraint::fill has it; empty where all tokens are allowed. Waits for all rows.
  std::span<const std::uint32_t> row(std::size_t i);

 private:
  void fill(Constraint& constraint, std::vector<std::uint32_t>& mask);
  void wait();

  std::vector<std::vector<std::uint32_t>> masks_;
  bool any_ = false;
  std::mutex mutex_;
  std::condition_variable filled_;
  int unfilled_ = 0;  // guarded by mutex_
};

}  // namespace pippin::engine
