// A fixed set of worker threads for work that may take milliseconds: rendering, tokenizing,
// decoding pictures.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

namespace pippin {

/// Owns its threads. Any thread may post. Tasks start in the order posted; an exception that leaves
/// a task is logged and swallowed (a task answers for its own errors). The destructor finishes the
/// queued tasks, then joins.
class ThreadPool {
 public:
  explicit ThreadPool(std::size_t num_threads);
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  void post(std::function<void()> task);

 private:
  void work();

  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<std::function<void()>> tasks_;  // guarded by mutex_
  bool stopping_ = false;                    // guarded by mutex_
  std::vector<std::thread> threads_;
};

}  // namespace pippin
