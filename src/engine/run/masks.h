// Which tokens the rows of a step may take. A GPU computes the step while threads find that out; on a CPU, whose cores are all taken by
// the step, its own threads do so before they sample: what one more thread takes from them costs more than it finds out.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "base/mutex.h"
#include "base/thread_pool.h"
#include "engine/schedule/scheduler.h"

namespace pippin::engine {

/// Owns the threads that fill masks; none before they are wanted. Used by the engine's thread.
class MaskThreads {
 public:
  ThreadPool& pool();

 private:
  std::optional<ThreadPool> pool_;
};

/// The masks of a step's rows of logits. Where threads fill them, filling begins with it and is over when it is destroyed, whatever
/// happens between: a constraint is not to be touched meanwhile.
class StepMasks {
 public:
  /// `vocabulary`: tokens in a row of logits. Without threads fill() is to be called for every row.
  StepMasks(const Batch& batch, std::int64_t vocabulary, MaskThreads* threads);
  ~StepMasks() { wait(); }
  StepMasks(const StepMasks&) = delete;
  StepMasks& operator=(const StepMasks&) = delete;

  bool any() const { return any_; }
  /// The mask of the i-th row of logits, as Constraint::fill has it; empty where all tokens are allowed. Waits for the threads, not for fill().
  std::span<const std::uint32_t> row(std::size_t i);
  /// Any thread may, each row once.
  void fill(std::size_t row);

 private:
  void fill_and_tell(std::size_t row);
  void wait();

  std::vector<Constraint*> constraints_;  ///< of each row, null where it has none
  std::vector<std::vector<std::uint32_t>> masks_;
  bool any_ = false;
  Mutex mutex_;
  ConditionVariable filled_;
  int unfilled_ GUARDED_BY(mutex_) = 0;
};

}  // namespace pippin::engine
