#include "base/thread_pool.h"

#include <gtest/gtest.h>

#include <atomic>
#include <stdexcept>

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

}  // namespace pippin
