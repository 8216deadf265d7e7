#include "base/byte_budget.h"

#include <gtest/gtest.h>

#include <atomic>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace pippin {
namespace {

// Takes, and keeps what it gets.
struct Taker {
  ByteBudget& budget;
  std::vector<ByteBudget::Lease> held = {};

  void take(std::int64_t bytes, const Client& client = {}, std::function<bool()> wanted = {}) {
    budget.take(client, bytes, std::move(wanted),
                [this](ByteBudget::Lease lease) { held.push_back(std::move(lease)); });
  }
  // What follows from it comes into an empty list.
  void release() { const auto gone = std::exchange(held, {}); }
};

TEST(ByteBudget, GivesWhatThereIsAndTakesItBack) {
  ByteBudget budget(100);
  Taker taker{budget};
  taker.take(60);
  taker.take(40);
  ASSERT_EQ(taker.held.size(), 2u);
  EXPECT_EQ(budget.stats().used, 100);
  taker.release();
  EXPECT_EQ(budget.stats().used, 0);
}

TEST(ByteBudget, WhoDoesNotFitWaitsAndNobodyPassesHim) {
  ByteBudget budget(100);
  Taker taker{budget};
  taker.take(60);
  taker.take(50);
  taker.take(10);
  EXPECT_EQ(taker.held.size(), 1u);
  EXPECT_EQ(budget.stats().waiting, 2);
  taker.release();
  EXPECT_EQ(taker.held.size(), 2u);
  EXPECT_EQ(budget.stats().used, 60);
  EXPECT_EQ(budget.stats().waiting, 0);
}

TEST(ByteBudget, ClientsTakeTurns) {
  ByteBudget budget(100);
  Taker taker{budget}, first{budget}, other{budget};
  taker.take(100);
  bool wanted = true;
  for (int i = 0; i < 9; ++i) first.take(100, {"first", ""}, [&] { return wanted; });
  other.take(100, {"other", ""});
  taker.release();
  first.release();
  first.release();
  EXPECT_EQ(other.held.size(), 1u);
  EXPECT_EQ(budget.stats().waiting, 7);
  wanted = false;
}

TEST(ByteBudget, WhoIsGoneGivesUpHisPlace) {
  ByteBudget budget(100);
  Taker taker{budget};
  bool wanted = true;
  taker.take(60);
  taker.take(50, {}, [&] { return wanted; });
  taker.take(10);
  wanted = false;
  budget.look_again();
  ASSERT_EQ(taker.held.size(), 2u);
  EXPECT_EQ(taker.held[1].bytes(), 10);
}

TEST(ByteBudget, PartsReturnByThemselves) {
  ByteBudget budget(100);
  Taker taker{budget};
  taker.take(80);
  {
    const ByteBudget::Lease part = taker.held[0].split(30);
    EXPECT_EQ(part.bytes(), 30);
    EXPECT_EQ(taker.held[0].bytes(), 50);
  }
  EXPECT_EQ(budget.stats().used, 50);
}

TEST(ByteBudget, GrowsWhileNobodyWaits) {
  ByteBudget budget(100);
  Taker taker{budget};
  ByteBudget::Lease lease = budget.none();
  EXPECT_TRUE(lease.grow(60));
  EXPECT_FALSE(lease.grow(41));
  EXPECT_EQ(lease.bytes(), 60);
  taker.take(50);
  EXPECT_FALSE(lease.grow(10));
  lease = {};
  EXPECT_EQ(taker.held.size(), 1u);
}

TEST(ByteBudget, AsksForWhatIsOnlyKept) {
  std::vector<ByteBudget::Lease> kept;
  std::vector<std::int64_t> asked;
  ByteBudget budget(100, [&](std::int64_t bytes) {
    asked.push_back(bytes);
    if (!kept.empty()) kept.pop_back();
  });
  for (int i = 0; i < 3; ++i)
    budget.take({}, 30, {}, [&](ByteBudget::Lease lease) { kept.push_back(std::move(lease)); });
  Taker taker{budget};
  taker.take(50);
  ASSERT_EQ(taker.held.size(), 1u);
  EXPECT_EQ(asked, (std::vector<std::int64_t>{40, 10}));
  EXPECT_EQ(kept.size(), 1u);
  EXPECT_EQ(budget.stats().used, 80);
  taker.take(100);  // more than what is kept can give
  EXPECT_EQ(taker.held.size(), 1u);
  taker.release();
  kept.clear();
}

TEST(ByteBudget, LeasesOutliveIt) {
  ByteBudget::Lease lease;
  {
    ByteBudget budget(10);
    budget.take({}, 10, {}, [&](ByteBudget::Lease granted) { lease = std::move(granted); });
  }
  EXPECT_EQ(lease.bytes(), 10);
}

TEST(ByteBudget, ManyThreadsNeverHoldMore) {
  ByteBudget budget(10);
  std::atomic<std::int64_t> held = 0, most = 0, granted = 0;
  {
    std::vector<std::thread> threads;
    for (int t = 0; t < 4; ++t)
      threads.emplace_back([&, t] {
        for (int i = 0; i < 500; ++i)
          budget.take({std::to_string(t), ""}, 1 + i % 7, {}, [&](ByteBudget::Lease lease) {
            const std::int64_t now = held += lease.bytes();
            std::int64_t before = most;
            while (now > before && !most.compare_exchange_weak(before, now)) {
            }
            ++granted;
            held -= lease.bytes();
          });
      });
    for (auto& thread : threads) thread.join();
  }
  EXPECT_EQ(granted, 2000);
  EXPECT_LE(most, 10);
  EXPECT_EQ(budget.stats().used, 0);
}

}  // namespace
}  // namespace pippin
