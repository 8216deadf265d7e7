#include "base/thread_pool.h"

#include <exception>
#include <utility>

#include "base/insist.h"
#include "base/log.h"
#include "base/memory.h"

namespace pippin {
namespace {

void run(const std::function<void()>& task) {
  try {
    task();
  } catch (const std::exception& error) {
    insist([&] { spdlog::error("[thread_pool] a task failed: {}", error.what()); });
  }
}

}  // namespace

ThreadPool::ThreadPool(const Options& options) : options_(options), tasks_(options.max_per_owner) {
  try {
    for (std::size_t i = 0; i < options.num_threads; ++i) threads_.emplace_back([this] { work(); });
  } catch (...) {
    stop();
    throw;
  }
}

ThreadPool::~ThreadPool() { stop(); }

void ThreadPool::stop() {
  {
    const MutexLock lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_all();
  for (auto& thread : threads_) thread.join();
}

void ThreadPool::post(const Client& client, std::function<void()> task) {
  {
    const MutexLock lock(mutex_);
    tasks_.push(client, std::move(task));
  }
  wake_.notify_one();
}

void ThreadPool::work() {
  if (options_.background) run_in_background();
  MutexLock lock(mutex_);
  for (;;) {
    if (auto turn = tasks_.pop()) {
      lock.unlock();
      run(turn->task);
      turn->task = nullptr;  // and all that it holds, before its turn ends
      lock.lock();
      tasks_.finished(turn->owner);
      if (stopping_)
        wake_.notify_all();
      else if (!tasks_.empty())
        wake_.notify_one();  // the owner may have another turn
    } else if (stopping_ && tasks_.empty()) {
      return;
    } else {
      wake_.wait(mutex_);
    }
  }
}

}  // namespace pippin
