#include "base/thread_pool.h"

#include <gtest/gtest.h>

#include <atomic>
#include <future>
#include <stdexcept>
#include <string>
#include <vector>

namespace pippin {

TEST(ThreadPool, RunsEveryTaskBeforeItGoes) {
  std::atomic<int> done = 0;
  {
    ThreadPool pool(3);
    for (int i = 0; i < 1000; ++i) pool.post([&] { ++done; });
  }
  EXPECT_EQ(done, 1000);
}

TEST(ThreadPool, OneThreadKeepsTheOrder) {
  std::vector<int> order;
  {
    ThreadPool pool(1);
    for (int i = 0; i < 100; ++i) pool.post([&order, i] { order.push_back(i); });
  }
  ASSERT_EQ(order.size(), 100u);
  for (int i = 0; i < 100; ++i) EXPECT_EQ(order[static_cast<std::size_t>(i)], i);
}

TEST(ThreadPool, SurvivesATaskThatThrows) {
  std::atomic<int> done = 0;
  {
    ThreadPool pool(1);
    pool.post([] { throw std::runtime_error("boom"); });
    pool.post([&] { ++done; });
  }
  EXPECT_EQ(done, 1);
}

TEST(ThreadPool, ClientsTakeTurns) {
  std::vector<std::string> order;
  // The promise outlives the pool: the pool's thread may still read the promise when set_value() has returned.
  std::promise<void> gate;
  {
    ThreadPool pool(1);
    pool.post([&] { gate.get_future().wait(); });
    for (const char* owner : {"a", "a", "a", "b"})
      pool.post({owner, ""}, [&order, owner] { order.emplace_back(owner); });
    gate.set_value();
  }
  EXPECT_EQ(order, (std::vector<std::string>{"a", "b", "a", "a"}));
}

TEST(ThreadPool, AnOwnerLeavesThreadsToOthers) {
  std::promise<void> gate, other;
  std::atomic<int> done = 0;
  {
    ThreadPool pool(ThreadPool::Options{.num_threads = 2, .max_per_owner = 1});
    std::shared_future<void> opened = gate.get_future().share();
    for (int i = 0; i < 3; ++i)
      pool.post({"slow", ""}, [&, opened] {
        opened.wait();
        ++done;
      });
    pool.post({"quick", ""}, [&] { other.set_value(); });
    EXPECT_EQ(other.get_future().wait_for(std::chrono::seconds(10)), std::future_status::ready);
    gate.set_value();
  }
  EXPECT_EQ(done, 3);
}

}  // namespace pippin
