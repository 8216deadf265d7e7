// A fixed set of worker threads for work that may take milliseconds: rendering, tokenizing,
// decoding pictures.
#pragma once

#include <cstddef>
#include <functional>
#include <limits>
#include <thread>
#include <vector>

#include "base/fair_queue.h"
#include "base/mutex.h"

namespace pippin {

/// Owns its threads. Any thread may post. Clients' tasks take turns (FairQueue), and those of one start in the order posted; an
/// exception that leaves a task is logged and swallowed (a task answers for its own errors). The destructor finishes the
/// queued tasks, then joins.
class ThreadPool {
 public:
  struct Options {
    std::size_t num_threads = 1;
    /// Threads that tasks of one owner hold at once.
    std::size_t max_per_owner = std::numeric_limits<std::size_t>::max();
    bool background = false;  ///< its work matters less than others' (base/memory.h)
  };

  explicit ThreadPool(std::size_t num_threads) : ThreadPool(Options{num_threads}) {}
  explicit ThreadPool(const Options& options);
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  void post(std::function<void()> task) { post({}, std::move(task)); }
  void post(const Client& client, std::function<void()> task);

 private:
  using Task = std::function<void()>;

  void work();
  void stop();

  const Options options_;
  Mutex mutex_;
  ConditionVariable wake_;
  FairQueue<Task> tasks_ GUARDED_BY(mutex_);
  bool stopping_ GUARDED_BY(mutex_) = false;
  std::vector<std::thread> threads_;
};

}  // namespace pippin
