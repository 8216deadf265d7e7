#include "base/thread_pool.h"

#include <exception>
#include <optional>
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
    spdlog::error("[thread_pool] a task failed: {}", error.what());
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
    std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_all();
  for (auto& thread : threads_) thread.join();
}

void ThreadPool::post(const Client& client, std::function<void()> task) {
  {
    std::lock_guard lock(mutex_);
    push(client, std::move(task));
  }
  wake_.notify_one();
}

bool ThreadPool::try_post(const Client& client, std::function<void()> task) {
  {
    std::lock_guard lock(mutex_);
    const auto own = waiting_.find(client.owner);
    if (tasks_.size() >= options_.max_waiting ||
        (own != waiting_.end() && own->second >= options_.max_waiting_per_owner))
      return false;
    push(client, std::move(task));
  }
  wake_.notify_one();
  return true;
}

void ThreadPool::push(const Client& client, Task task) {
  auto& own = waiting_[client.owner];  // before the push: what may throw comes first
  tasks_.push(client, std::move(task));
  ++own;
}

std::optional<FairQueue<ThreadPool::Task>::Turn> ThreadPool::pop() {
  auto turn = tasks_.pop();
  if (!turn) return turn;
  const auto own = waiting_.find(turn->owner);
  if (--own->second == 0) waiting_.erase(own);
  return turn;
}

void ThreadPool::work() {
  if (options_.background) run_in_background();
  std::unique_lock lock(mutex_);
  for (;;) {
    std::optional<FairQueue<Task>::Turn> turn;
    insist([&] { turn = pop(); });
    if (turn) {
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
      wake_.wait(lock);
    }
  }
}

}  // namespace pippin
