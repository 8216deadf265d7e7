#include "kernels/cpu/team.h"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <thread>
#include <vector>

namespace pippin::cpu {
namespace {

TEST(TeamTest, EveryIndexOnceForAnyShape) {
  for (const int threads : {1, 2, 5}) {
    Team team(threads);
    for (const std::int64_t n : {0, 1, 2, 7, 64, 1000})
      for (const std::int64_t grain : {1, 3, 64}) {
        std::vector<std::atomic<int>> seen(static_cast<std::size_t>(n));
        const auto body = [&](std::int64_t begin, std::int64_t end, int thread) {
          EXPECT_GE(thread, 0);
          EXPECT_LT(thread, team.size());
          for (auto i = begin; i < end; ++i) ++seen[static_cast<std::size_t>(i)];
        };
        team.parallel_for(n, grain, body);
        for (const auto& count : seen) EXPECT_EQ(count, 1);
        team.parallel_for_guided(n, grain, body);
        for (const auto& count : seen) EXPECT_EQ(count, 2);
      }
  }
}

// Jobs follow each other at all distances: while workers spin, fall asleep, and sleep.
TEST(TeamTest, ManyJobsAtAllDistances) {
  Team team(4);
  std::int64_t expected = 0;
  std::atomic<std::int64_t> total{0};
  for (int i = 0; i < 3000; ++i) {
    team.parallel_for(16, 1, [&](std::int64_t begin, std::int64_t, int) { total += begin; });
    expected += 120;
    ASSERT_EQ(total, expected);
    if (i % 30 == 0) std::this_thread::sleep_for(std::chrono::microseconds(i));
  }
}

TEST(TeamTest, WritesOfThePiecesAreVisibleToTheCaller) {
  Team team(3);
  for (int round = 0; round < 500; ++round) {
    std::vector<int> plain(256, 0);
    team.parallel_for(256, 1, [&](std::int64_t begin, std::int64_t, int) {
      plain[static_cast<std::size_t>(begin)] = round;
    });
    for (const int value : plain) ASSERT_EQ(value, round);
  }
}

TEST(TeamTest, UsableCoresArePositive) { EXPECT_GE(usable_cores(), 1); }

}  // namespace
}  // namespace pippin::cpu
