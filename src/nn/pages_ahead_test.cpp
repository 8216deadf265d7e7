#include "nn/pages_ahead.h"

#include <gtest/gtest.h>
#include <sys/mman.h>

#include <chrono>
#include <numeric>

#include "base/memory.h"

namespace pippin::nn {
namespace {

constexpr std::size_t page_bytes = std::size_t{64} << 10;
constexpr int block = 32;  // to a huge page
constexpr int num_pages = 1024;
constexpr std::size_t pool_bytes = page_bytes * num_pages;
constexpr std::int64_t slack = std::int64_t{8}
                               << 20;  // huge pages at the ends, and what the process takes

constexpr auto long_enough = std::chrono::minutes(1);

// Untouched memory of two pools.
class Pools : public ::testing::Test {
 protected:
  Pools() {
    for (int i = 0; i < 2; ++i) {
      void* memory =
          ::mmap(nullptr, pool_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANON, -1, 0);
      spans.emplace_back(static_cast<std::uint8_t*>(memory), pool_bytes);
    }
  }
  ~Pools() override {
    for (const auto& pool : spans) ::munmap(pool.data(), pool.size());
  }

  static void use_all(PagesAhead& ahead) {
    for (int page = 0; page < num_pages; ++page) ahead.use(page);
  }

  std::vector<std::span<std::uint8_t>> spans;
  const std::int64_t before = resident_bytes();
};

TEST_F(Pools, TakeNoMemoryUntilTheyAreUsed) {
  PagesAhead ahead(spans, num_pages);
  ASSERT_TRUE(ahead.wait(long_enough));
  EXPECT_NEAR(resident_bytes() - before, 0, slack);
}

TEST_F(Pools, TakeThatOfAUsedPagesBlockAndOfTheNext) {
  PagesAhead ahead(spans, num_pages);
  EXPECT_EQ(ahead.pages_in_a_block(), block);
  ahead.use(100);
  ASSERT_TRUE(ahead.wait(long_enough));
  EXPECT_NEAR(resident_bytes() - before, 2 * 2 * block * page_bytes, slack);
  ahead.use(101);  // nothing new
  ahead.use(100 + block);
  ASSERT_TRUE(ahead.wait(long_enough));
  EXPECT_NEAR(resident_bytes() - before, 2 * 3 * block * page_bytes, slack);
  ahead.use(num_pages - 1);  // there is no next
  ASSERT_TRUE(ahead.wait(long_enough));
  EXPECT_NEAR(resident_bytes() - before, 2 * 4 * block * page_bytes, slack);
}

TEST_F(Pools, KeepWhatTheyHold) {
  PagesAhead ahead(spans, num_pages);
  use_all(ahead);  // and are written meanwhile
  for (const auto& pool : spans) std::iota(pool.begin(), pool.end(), std::uint8_t{3});
  ASSERT_TRUE(ahead.wait(long_enough));
  for (const auto& pool : spans)
    for (std::size_t i = 0; i < pool.size(); i += 997)
      ASSERT_EQ(pool[i], static_cast<std::uint8_t>(i + 3));
}

TEST_F(Pools, StayGivenBackUntilTheyAreUsedAgain) {
  PagesAhead ahead(spans, num_pages);
  use_all(ahead);
  ahead.forget();  // in the middle of it
  for (const auto& pool : spans) give_back(pool.data(), pool.size());
  ASSERT_TRUE(ahead.wait(long_enough));
  EXPECT_NEAR(resident_bytes() - before, 0, slack);
  ahead.use(0);
  ASSERT_TRUE(ahead.wait(long_enough));
  EXPECT_NEAR(resident_bytes() - before, 2 * 2 * block * page_bytes, slack);
}

TEST_F(Pools, EndWithoutWaitingForAll) {
  for (int i = 0; i < 20; ++i) {
    PagesAhead ahead(spans, num_pages);
    use_all(ahead);
  }
}

}  // namespace
}  // namespace pippin::nn
