#include "kernels/cpu/team.h"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <new>
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

// As where memory is gone: on the caller's thread, on a worker, or on all at once.
TEST(TeamTest, WhatABodyThrowsIsTheCallers) {
  Team team(3);
  for (int round = 0; round < 300; ++round) {
    std::atomic<int> inside{0};
    const auto body = [&](std::int64_t begin, std::int64_t, int thread) {
      ++inside;
      std::this_thread::sleep_for(std::chrono::microseconds(20));
      --inside;
      if (begin % 7 == 3 && (round % 3 == 0 || (thread == 0) == (round % 3 == 1)))
        throw std::bad_alloc();
    };
    bool thrown = false;
    try {
      if (round % 2)
        team.parallel_for(64, 1, body);
      else
        team.parallel_for_guided(64, 1, body);
    } catch (const std::bad_alloc&) {
      thrown = true;
    }
    ASSERT_EQ(inside, 0);
    if (round % 3 == 0 && round % 2) {
      ASSERT_TRUE(thrown);
    }
    std::atomic<int> made{0};
    team.parallel_for(64, 1, [&](std::int64_t, std::int64_t, int) { ++made; });
    ASSERT_EQ(made, 64);
  }
}

TEST(TeamTest, UsableCoresArePositive) { EXPECT_GE(usable_cores(), 1); }

}  // namespace
}  // namespace pippin::cpu
