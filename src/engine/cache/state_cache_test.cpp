#include "engine/cache/state_cache.h"

#include <gtest/gtest.h>

#include <set>

namespace pippin::engine {
namespace {

PageKey key(int number) { return page_key(root_key, {{number}, {}, ""}); }

// A snapshot of each (number, cost), in slots of its own.
void fill(StateCache& states, const std::vector<std::pair<int, double>>& snapshots) {
  for (const auto& [number, cost] : snapshots) states.insert(key(number), *states.acquire(), cost);
}

TEST(StateCache, GivesEverySlotOnce) {
  StateCache states(3, 16);
  std::set<StateSlot> slots;
  for (int i = 0; i < 3; ++i) slots.insert(*states.acquire());
  EXPECT_EQ(slots.size(), 3u);
  EXPECT_FALSE(states.acquire());
  states.release(*slots.begin());
  EXPECT_EQ(states.acquire(), *slots.begin());
}

TEST(StateCache, EvictsWhatIsCheapestToRecompute) {
  StateCache states(3, 16);
  fill(states, {{1, 500}, {2, 20}, {3, 100}});
  EXPECT_TRUE(states.acquire());
  EXPECT_FALSE(states.contains(key(2)));
  EXPECT_TRUE(states.acquire());
  EXPECT_FALSE(states.contains(key(3)));
  EXPECT_TRUE(states.contains(key(1)));
  EXPECT_EQ(states.num_evicted(), 2);
}

TEST(StateCache, OfEqualCostTheLongestUnusedGoes) {
  StateCache states(3, 16);
  fill(states, {{1, 50}, {2, 50}, {3, 50}});
  EXPECT_TRUE(states.find(key(1)));
  EXPECT_TRUE(states.peek(key(2)));  // does not count
  states.acquire();
  EXPECT_FALSE(states.contains(key(2)));
}

// A dear snapshot that nobody uses does not stay for ever: the clock passes it.
TEST(StateCache, WhatIsNeverUsedGoesInTheEnd) {
  StateCache states(2, 16);
  fill(states, {{1, 1000}});
  for (int i = 2; i < 100 && states.contains(key(1)); ++i) fill(states, {{i, 50}});
  EXPECT_FALSE(states.contains(key(1)));
}

TEST(StateCache, KeepsTheFirstOfEqualSnapshots) {
  StateCache states(2, 16);
  fill(states, {{1, 50}});
  const auto slot = states.peek(key(1));
  fill(states, {{1, 50}});
  EXPECT_EQ(states.peek(key(1)), slot);
  EXPECT_EQ(states.num_snapshots(), 1u);
  EXPECT_EQ(states.num_free(), 1u);
}

TEST(StateCache, ForgetsAll) {
  StateCache states(3, 16);
  fill(states, {{1, 50}, {2, 50}});
  states.forget();
  EXPECT_EQ(states.num_snapshots(), 0u);
  EXPECT_EQ(states.num_free(), 3u);
}

}  // namespace
}  // namespace pippin::engine
