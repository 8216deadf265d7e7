#include "engine/cache/page_cache.h"

#include <gtest/gtest.h>

#include <map>
#include <random>

namespace pippin::engine {
namespace {

constexpr std::size_t page_tokens = 4;

PageContent content(const std::string& letters) {
  return {{letters.begin(), letters.end()}, {}, {}};
}

// A cache, and the keys of what is in it by the text from the root.
class Cache : public PageCache {
 public:
  explicit Cache(int num_pages, bool reuse = true, KeyFn key = page_key)
      : PageCache(num_pages, page_tokens, reuse, std::move(key)) {}

  PageKey key(const std::string& path) const {
    PageKey key = root_key;
    for (std::size_t i = 0; i < path.size(); i += page_tokens)
      key = key_of(key, content(path.substr(i, page_tokens)));
    return key;
  }
  static std::string parent(const std::string& path) {
    return path.substr(0, (path.size() - 1) / page_tokens * page_tokens);
  }
  static PageContent last(const std::string& path) {
    return content(path.substr(parent(path).size()));
  }
  std::optional<PageId> put(PageId page, const std::string& path, double cost = 1) {
    return publish(page, key(parent(path)), key(path), last(path), cost);
  }
  std::optional<PageId> get(const std::string& path) {
    return find(key(path), key(parent(path)), last(path));
  }
  bool knows(const std::string& path) {
    const auto page = get(path);
    if (page) release(std::vector{*page});
    return page.has_value();
  }
  // Publishes the pages of a text and lets go of them.
  std::vector<PageId> keep(const std::string& text, double cost = 1) {
    std::vector<PageId> pages;
    for (std::size_t end = page_tokens; end <= text.size(); end += page_tokens)
      pages.push_back(*put(*allocate(), text.substr(0, end), cost));
    release(pages);
    return pages;
  }
};

TEST(PageCache, SaltsHaveChainsOfTheirOwn) {
  EXPECT_EQ(cache_root(""), root_key);
  const PageKey a = cache_root("a"), b = cache_root("b");
  EXPECT_NE(a, b);
  EXPECT_NE(a, root_key);
  PageCache cache(2, 4);
  const PageContent content{{1, 2, 3, 4}, {}, ""};
  cache.publish(*cache.allocate(), a, cache.key_of(a, content), content);
  EXPECT_TRUE(cache.find(cache.key_of(a, content), a, content));
  EXPECT_FALSE(cache.find(cache.key_of(b, content), b, content));
  EXPECT_FALSE(cache.find_beginning(b, content));
  EXPECT_EQ(cache.continuation(b, content), nullptr);
  EXPECT_TRUE(cache.find_beginning(a, {{1, 2, 5, 6}, {}, ""}));
}

TEST(PageCache, FindsWhatWasPublishedUnderItsParentOnly) {
  Cache cache(4);
  const auto a = *cache.allocate(), b = *cache.allocate();
  EXPECT_EQ(cache.put(a, "oooo"), a);
  EXPECT_EQ(cache.put(b, "oooopppp"), b);
  EXPECT_EQ(cache.get("oooo"), a);
  EXPECT_EQ(cache.get("oooopppp"), b);
  EXPECT_FALSE(cache.get("pppp"));
  EXPECT_FALSE(cache.get("oooooooo"));
}

// With one key for everything only one content can be published, and nothing else is found under it.
TEST(PageCache, AHashCollisionFindsNothingWrong) {
  Cache cache(8, true, [](const PageKey&, const PageContent&) { return PageKey{7}; });
  const auto a = *cache.allocate(), b = *cache.allocate();
  EXPECT_EQ(cache.put(a, "oooo"), a);
  EXPECT_FALSE(cache.put(b, "pppp"));
  EXPECT_FALSE(cache.put(b, "oooopppp"));
  EXPECT_EQ(cache.get("oooo"), a);
  EXPECT_FALSE(cache.get("pppp"));
  EXPECT_FALSE(cache.get("oooooooo"));
}

TEST(PageCache, EqualContentIsHeldOnce) {
  Cache cache(4);
  const auto a = *cache.allocate(), twin = *cache.allocate();
  cache.put(a, "oooo");
  EXPECT_EQ(cache.put(twin, "oooo"), a);
  EXPECT_EQ(cache.num_free(), 3);
  EXPECT_EQ(cache.check(std::vector{a, a}), "");
  cache.release(std::vector{a, a});
  EXPECT_EQ(cache.num_cached(), 1);
}

TEST(PageCache, FindsThePageThatBeginsAlike) {
  Cache cache(8);
  cache.keep("rootabcd");
  cache.keep("rootabxy");
  const auto abc = cache.find_beginning(cache.key("root"), content("abc"));
  ASSERT_TRUE(abc);
  EXPECT_EQ(abc->tokens, 3);
  EXPECT_EQ(abc->page, *cache.get("rootabcd"));
  EXPECT_EQ(cache.find_beginning(cache.key("root"), content("abxz"))->tokens, 3);
  EXPECT_FALSE(cache.find_beginning(cache.key("root"), content("zz")));
  EXPECT_FALSE(cache.find_beginning(cache.key("rootabcd"), content("abc")));
}

TEST(PageCache, APageThatGoesOnReplacesItsBeginning) {
  Cache cache(4);
  const auto part = *cache.allocate(), whole = *cache.allocate();
  cache.put(part, "ab");
  cache.release(std::vector{part});
  cache.put(whole, "abcd");
  EXPECT_FALSE(cache.knows("ab"));
  EXPECT_EQ(cache.num_free(), 3);
}

TEST(PageCache, PlaceholdersAreAsEqualAsTheirPictures) {
  const auto with = [](std::int32_t begin, std::int32_t offset, std::uint8_t picture) {
    PageContent c = content("abxx");
    c.media.push_back({begin, offset, Digest{picture}});
    return c;
  };
  EXPECT_EQ(common_tokens(with(2, 0, 1), with(2, 0, 1)), 4);
  EXPECT_EQ(common_tokens(with(2, 0, 1), with(2, 0, 2)), 2);
  EXPECT_EQ(common_tokens(with(2, 0, 1), with(2, 5, 1)), 2);
  EXPECT_EQ(common_tokens(with(2, 0, 1), with(3, 0, 1)), 2);
  EXPECT_EQ(common_tokens(with(2, 0, 1), content("abxx")), 2);
  EXPECT_EQ(common_tokens(content("abxx"), content("abyx")), 2);
  PageContent other = content("abxx");
  other.adapter = "a";
  EXPECT_EQ(common_tokens(content("abxx"), other), 0);
}

TEST(PageCache, EvictsLeavesBeforeTheirParentsAndUsedPagesNever) {
  Cache cache(3);
  const auto pages = cache.keep("aaaabbbbcccc");
  EXPECT_EQ(cache.num_available(), 3);
  EXPECT_EQ(cache.allocate(), pages[2]);
  EXPECT_TRUE(cache.knows("aaaabbbb"));
  EXPECT_EQ(cache.allocate(), pages[1]);
  EXPECT_EQ(cache.get("aaaa"), pages[0]);
  EXPECT_FALSE(cache.allocate());  // all are used
  EXPECT_TRUE(cache.evicted_lately(cache.key("aaaabbbb")));
  EXPECT_FALSE(cache.evicted_lately(cache.key("aaaa")));
  EXPECT_EQ(cache.num_evicted(), 2);
}

TEST(PageCache, EvictsTheLeastRecentlyUsedOfEqualCost) {
  Cache cache(3);
  for (const auto* text : {"aaaa", "bbbb", "cccc"}) cache.keep(text);
  EXPECT_TRUE(cache.knows("aaaa"));  // and used it
  cache.keep("dddd");
  EXPECT_TRUE(cache.knows("aaaa"));
  EXPECT_FALSE(cache.knows("bbbb"));
}

TEST(PageCache, WhatCostsMoreStaysLongerButNotForEver) {
  Cache cache(2);
  cache.keep("dear", 3);
  int outlived = 0;
  for (char letter = 'a'; !cache.evicted_lately(cache.key("dear")); ++letter, ++outlived)
    cache.keep(std::string(page_tokens, letter));
  EXPECT_GE(outlived, 3);
  EXPECT_LE(outlived, 5);
}

TEST(PageCache, WithoutReuseNothingIsEverFound) {
  Cache cache(2, false);
  const auto a = *cache.allocate();
  EXPECT_FALSE(cache.put(a, "aaaa"));
  EXPECT_FALSE(cache.get("aaaa"));
  cache.release(std::vector{a});
  EXPECT_EQ(cache.num_free(), 2);
}

TEST(PageCache, ForgetsWhatIsCachedAndKeepsWhatIsUsed) {
  Cache cache(4);
  cache.keep("aaaabbbb");
  const auto a = cache.get("aaaa");
  cache.forget_cached();
  EXPECT_EQ(cache.num_free(), 3);
  EXPECT_TRUE(cache.knows("aaaa"));
  EXPECT_FALSE(cache.knows("aaaabbbb"));
  EXPECT_EQ(cache.check(std::vector{*a}), "");
}

TEST(PageCache, HandsTheLowestPagesOutFirstOnceAllIsForgotten) {
  Cache cache(8);
  cache.keep("aaaabbbbcccc");
  cache.keep("aaaaddddbbbb");
  cache.forget_cached();
  for (PageId page = 0; page < 8; ++page) EXPECT_EQ(cache.allocate(), page);
}

// A key that collides often: the state of a hash of the path that keeps little of it.
PageKey weak_key(const PageKey& parent, const PageContent& content) {
  PageKey key{};
  key[0] = static_cast<std::uint8_t>((parent[0] * 3 + content.tokens[0]) % 7 + 1);
  return key;
}

// Random sequences come, share prefixes and go: no page is lost, none is given twice, and a found page always holds what
// was asked for.
void use_at_random(Cache& cache, unsigned seed) {
  std::mt19937 random(seed);
  std::vector<std::vector<PageId>> held;
  std::map<PageId, std::string> path_of_page;  // the whole prefix that a page ends
  for (int round = 0; round < 5000; ++round) {
    if (!held.empty() && random() % 2) {
      std::swap(held[random() % held.size()], held.back());
      cache.release(held.back());
      held.pop_back();
    } else {
      std::vector<PageId> pages;
      std::string path;
      for (unsigned depth = 1 + random() % 5; depth > 0; --depth) {
        path += std::string(page_tokens, static_cast<char>('a' + random() % 3));
        auto page = cache.get(path);
        if (page) {
          ASSERT_EQ(path_of_page[*page], path);
        } else {
          const auto own = cache.allocate();
          if (!own) break;
          page = cache.put(*own, path, 1 + static_cast<double>(random() % 3));
          if (!page) {
            pages.push_back(*own);
            break;
          }
          path_of_page[*page] = path;
        }
        pages.push_back(*page);
      }
      held.push_back(pages);
    }
    std::vector<PageId> used;
    for (const auto& sequence : held) used.insert(used.end(), sequence.begin(), sequence.end());
    ASSERT_EQ(cache.check(used), "") << "round " << round;
  }
  for (const auto& sequence : held) cache.release(sequence);
  EXPECT_EQ(cache.num_available(), cache.num_pages());
}

TEST(PageCache, ConservesPagesUnderRandomUse) {
  Cache cache(23);
  use_at_random(cache, 5);
}

TEST(PageCache, ConservesPagesUnderRandomUseWithCollisions) {
  Cache cache(23, true, weak_key);
  use_at_random(cache, 6);
}

}  // namespace
}  // namespace pippin::engine
