#include "engine/cache/window_pages.h"

#include <gtest/gtest.h>

#include <map>
#include <random>
#include <set>

#include "pippin/error.h"

namespace pippin::engine {
namespace {

constexpr WindowNeeds needs{.window = 6, .page_size = 4, .max_batch_tokens = 8};

std::vector<PageId> owners(int count) {
  std::vector<PageId> pages;
  for (PageId page = 0; page < count; ++page) pages.push_back(page);
  return pages;
}

TEST(WindowPages, AreKeptFromOnePageBeforeWhatARowSees) {
  const WindowPages pages(8, 100, needs);
  const std::pair<int, std::size_t> wanted[] = {{0, 0},  {5, 0},  {9, 0}, {12, 0},
                                                {13, 1}, {16, 1}, {17, 2}};
  for (const auto& [position, first] : wanted)
    EXPECT_EQ(pages.first_kept(position), first) << position;
}

// At the end of page m the next row is 4 m, and sees tokens from 4 m - 5 on: of two pages.
TEST(WindowPages, APrefixIsResumedWhereItsWindowIsThere) {
  WindowPages pages(8, 100, needs);
  const auto context = owners(6);
  EXPECT_EQ(pages.resumable(context), 0u);
  for (const PageId owner : {0, 1, 3}) ASSERT_TRUE(pages.add_cached(owner));
  EXPECT_EQ(pages.resumable(context), 2u);
  ASSERT_TRUE(pages.add_cached(4));
  EXPECT_EQ(pages.resumable(context), 5u);
  pages.forget(0);
  EXPECT_EQ(pages.resumable(context), 5u);
  pages.forget(3);
  EXPECT_EQ(pages.resumable(context), 0u);
  EXPECT_EQ(pages.resumable({}), 0u);
}

TEST(WindowPages, WhatPromptsLeftBehindGoesFirst) {
  WindowPages pages(3, 100, needs);
  for (PageId owner = 0; owner < 3; ++owner) pages.add(owner);
  EXPECT_FALSE(pages.add_cached(5));
  EXPECT_THROW(pages.add(5), Error);
  pages.drop(0, true);
  pages.drop(1, false);
  pages.drop(2, false);
  EXPECT_EQ(pages.num_cached(), 3);
  pages.add(5);
  EXPECT_FALSE(pages.has(1));
  pages.add(6);
  EXPECT_FALSE(pages.has(2));
  EXPECT_TRUE(pages.has(0));
  pages.use(0);
  EXPECT_THROW(pages.add(7), Error);
  EXPECT_EQ(pages.num_cached(), 0);
}

TEST(WindowPages, MoveWithTheirUsers) {
  WindowPages pages(3, 100, needs);
  pages.add(1);
  const auto page = pages.at(1);
  pages.move(1, 2);
  EXPECT_EQ(pages.at(2), page);
  EXPECT_FALSE(pages.has(1));
  pages.add(3);
  pages.move(3, 2);  // which has one
  EXPECT_EQ(pages.at(2), page);
  EXPECT_EQ(pages.num_free(), 2);
  pages.drop(2, false);
  EXPECT_EQ(pages.num_cached(), 0);
  pages.drop(2, false);
  EXPECT_EQ(pages.num_cached(), 1);
  pages.move(2, 4);
  EXPECT_EQ(pages.at(4), page);
  EXPECT_EQ(pages.num_cached(), 1);
  pages.forget_cached();
  EXPECT_EQ(pages.num_free(), 3);
}

TEST(WindowPages, RunAsManySequencesAsHaveRoomForSure) {
  const int each = needs.of_sequence(), steps = needs.of_steps();
  EXPECT_GE(each * 4, 6 + 2 * 4);
  const WindowPages two(2 * each + steps, 1000, needs);
  EXPECT_TRUE(two.has_room_for(2 * each));
  EXPECT_FALSE(two.has_room_for(2 * each + 1));
  EXPECT_EQ(needs.of_context(1000) + 1, each);
  EXPECT_EQ(needs.of_context(5), 2);
  EXPECT_TRUE(WindowPages(5, 5, needs).has_room_for(100));  // each owner has its own
}

// Against users counted by hand: pages are never lost nor two owners' at once.
TEST(WindowPages, AreWholeUnderAnything) {
  std::mt19937 random(1);
  const auto up_to = [&](int count) {
    return static_cast<int>(random() % static_cast<unsigned>(count));
  };
  WindowPages pages(6, 12, needs);
  std::map<PageId, int> users;
  for (int i = 0; i < 20'000; ++i) {
    const PageId owner = up_to(12), other = up_to(12);
    const bool full = pages.num_free() + pages.num_cached() == 0;
    switch (up_to(6)) {
      case 0:
        if (full && !pages.has(owner)) break;
        pages.add(owner);
        ++users[owner];
        break;
      case 1:
        if (users[owner] == 0) break;
        pages.drop(owner, up_to(2) == 0);
        --users[owner];
        break;
      case 2:
        pages.forget(owner);
        break;
      case 3:
        pages.add_cached(owner);
        break;
      case 4:
        if (owner == other || !pages.has(owner)) break;
        pages.move(owner, other);
        users[other] += std::exchange(users[owner], 0);
        break;
      default:
        if (up_to(20) == 0) pages.forget_cached();
    }
    std::set<PageId> seen;
    int used = 0;
    for (PageId each = 0; each < 12; ++each) {
      ASSERT_TRUE(users[each] == 0 || pages.has(each));
      const bool apart = !pages.has(each) || seen.insert(pages.at(each)).second;
      ASSERT_TRUE(apart);
      used += users[each] > 0;
    }
    ASSERT_EQ(used + pages.num_cached() + pages.num_free(), 6);
    ASSERT_EQ(static_cast<int>(seen.size()) + pages.num_free(), 6);
  }
}

}  // namespace
}  // namespace pippin::engine
