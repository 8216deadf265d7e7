#include "engine/page_cache.h"

#include <gtest/gtest.h>

#include <map>
#include <random>
#include <set>

namespace pippin::engine {
namespace {

TEST(PageCache, FindsWhatWasPublishedUnderItsParentOnly) {
  PageCache cache(4, 16);
  const auto a = *cache.allocate(), b = *cache.allocate();
  const auto chain_a = cache.publish(a, root_chain, "one");
  const auto chain_b = cache.publish(b, chain_a, "two");
  EXPECT_NE(chain_a, chain_b);
  EXPECT_EQ(cache.find(root_chain, "one"), a);
  EXPECT_EQ(cache.find(chain_a, "two"), b);
  EXPECT_FALSE(cache.find(root_chain, "two"));
  EXPECT_FALSE(cache.find(chain_b, "one"));
}

TEST(PageCache, AHashCollisionFindsNothingWrong) {
  PageCache cache(8, 16, true, [](ChainId, const std::string&) { return std::size_t{7}; });
  std::map<std::string, PageId> pages;
  ChainId chain = root_chain;
  for (const auto* content : {"a", "b", "c"}) {
    pages[content] = *cache.allocate();
    chain = cache.publish(pages[content], root_chain, content);
  }
  const auto child = *cache.allocate();
  cache.publish(child, chain, "a");
  for (const auto& [content, page] : pages) EXPECT_EQ(cache.find(root_chain, content), page);
  EXPECT_EQ(cache.find(chain, "a"), child);
  EXPECT_FALSE(cache.find(root_chain, "d"));
}

TEST(PageCache, EqualContentIsHeldOnce) {
  PageCache cache(4, 16);
  const auto a = *cache.allocate(), twin = *cache.allocate();
  const auto chain = cache.publish(a, root_chain, "one");
  EXPECT_EQ(cache.publish(twin, root_chain, "one"), chain);
  cache.release(std::vector{twin});
  EXPECT_EQ(cache.num_free(), 3);
  cache.release(std::vector{a});
  EXPECT_EQ(cache.num_cached(), 1);
}

TEST(PageCache, EvictsLeavesBeforeTheirParentsAndUsedPagesNever) {
  PageCache cache(3, 16);
  std::vector<PageId> pages;
  ChainId chain = root_chain;
  for (const auto* content : {"one", "two", "three"}) {
    pages.push_back(*cache.allocate());
    chain = cache.publish(pages.back(), chain, content);
  }
  EXPECT_FALSE(cache.allocate());  // all are used
  cache.release(pages);
  EXPECT_EQ(cache.num_available(), 3);
  EXPECT_EQ(cache.allocate(), pages[2]);
  EXPECT_TRUE(cache.contains(root_chain, "one"));
  EXPECT_EQ(cache.allocate(), pages[1]);
  EXPECT_EQ(cache.find(root_chain, "one"), pages[0]);
  EXPECT_FALSE(cache.allocate());
}

TEST(PageCache, WithoutReuseNothingIsEverFound) {
  PageCache cache(2, 16, false);
  const auto a = *cache.allocate();
  cache.publish(a, root_chain, "one");
  EXPECT_FALSE(cache.find(root_chain, "one"));
  cache.release(std::vector{a});
  EXPECT_EQ(cache.num_free(), 2);
}

TEST(PageCache, ForgetsWhatIsCached) {
  PageCache cache(2, 16);
  const auto a = *cache.allocate();
  cache.publish(a, root_chain, "one");
  cache.release(std::vector{a});
  cache.forget_cached();
  EXPECT_FALSE(cache.find(root_chain, "one"));
  EXPECT_EQ(cache.num_free(), 2);
}

// Random sequences come, share prefixes and go: no page is lost, none is given twice, and a found page always holds what
// was asked for.
TEST(PageCache, ConservesPagesUnderRandomUse) {
  constexpr int num_pages = 23;
  PageCache cache(num_pages, 16, true, [](ChainId parent, const std::string& content) {
    return parent % 3 + content.size() % 2;
  });
  std::mt19937 random(5);
  std::vector<std::vector<PageId>> held;
  std::map<PageId, std::string> path_of_page;  // the whole prefix that a page ends
  for (int round = 0; round < 20000; ++round) {
    if (!held.empty() && random() % 2) {
      std::swap(held[random() % held.size()], held.back());
      cache.release(held.back());
      held.pop_back();
      continue;
    }
    std::vector<PageId> pages;
    ChainId chain = root_chain;
    std::string path;
    for (unsigned depth = 1 + random() % 5; depth > 0; --depth) {
      const std::string content(1, static_cast<char>('a' + random() % 3));
      path += content;
      auto page = cache.find(chain, content);
      if (page) {
        ASSERT_EQ(path_of_page[*page], path);
        chain = cache.chain_of(*page);
      } else {
        if (!(page = cache.allocate())) break;
        chain = cache.publish(*page, chain, content);
        if (cache.chain_of(*page) == chain) path_of_page[*page] = path;
      }
      pages.push_back(*page);
    }
    held.push_back(pages);
    std::set<PageId> used;
    for (const auto& sequence : held) used.insert(sequence.begin(), sequence.end());
    ASSERT_EQ(static_cast<int>(used.size()) + cache.num_available(), num_pages);
  }
  for (const auto& sequence : held) cache.release(sequence);
  EXPECT_EQ(cache.num_available(), num_pages);
}

}  // namespace
}  // namespace pippin::engine
