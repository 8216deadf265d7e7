#include "engine/cache/memory_budget.h"

#include <gtest/gtest.h>

#include "pippin/error.h"

namespace pippin::engine {
namespace {

constexpr std::int64_t mb = 1 << 20, gb = 1 << 30;
constexpr std::int64_t page_bytes = mb;  // of 16 tokens

EngineOptions options(double fraction = 0, std::int64_t bytes = 0) {
  EngineOptions options;
  options.memory_fraction = fraction;
  options.memory_bytes = bytes;
  return options;
}

// As an engine does at its start.
MemorySplit share_out(std::int64_t limit, const EngineOptions& options, std::int64_t weights = gb,
                      bool pictures = true, std::int64_t context = 1600) {
  MemoryBudget budget(limit, options);
  budget.take_model(weights, 100 * mb);
  EXPECT_EQ(budget.grant_grammars(), budget.split().grammars);
  EXPECT_EQ(budget.grant_media(pictures), budget.split().media);
  EXPECT_EQ(budget.grant_decoded(pictures, 0), budget.split().decoded);
  const auto grant = budget.grant_cache({.page_bytes = page_bytes, .context = context});
  EXPECT_EQ(grant.pages * page_bytes, budget.split().pages);
  EXPECT_EQ(grant.slots, 0);
  return budget.split();
}

TEST(MemoryBudget, TakesFourContextsWhereThereIsRoom) {
  const auto split = share_out(64 * gb, {});
  EXPECT_EQ(split.pages, 4 * 100 * page_bytes);
  EXPECT_EQ(split.media, 512 * mb);
  EXPECT_EQ(split.grammars, 256 * mb);
  EXPECT_LE(split.used(), split.budget);
  EXPECT_EQ(split.decoded, 1280 * mb);
  EXPECT_EQ(share_out(64 * gb, {}, gb, false).media, 0);
  EXPECT_EQ(share_out(64 * gb, {}, gb, false).decoded, 0);
}

TEST(MemoryBudget, ANamedBudgetIsUsedWhole) {
  for (const auto& named : {options(0.5), options(0, 8 * gb)}) {
    const auto split = share_out(16 * gb, named);
    EXPECT_EQ(split.budget, 8 * gb);
    EXPECT_LE(split.used(), 8 * gb);
    EXPECT_GT(split.used(), 8 * gb - page_bytes);
    EXPECT_EQ(split.media, 512 * mb);
  }
}

TEST(MemoryBudget, IsNeverExceededByWhatIsNotNamed) {
  for (std::int64_t limit = 1500 * mb; limit < 20 * gb; limit += 137 * mb)
    for (const std::int64_t context : {16, 1600, 160000})
      for (const auto& chosen : {options(), options(0.9)}) {
        const auto split = share_out(limit, chosen, gb, true, context);
        ASSERT_LE(split.used(), split.budget) << limit;
        ASSERT_LE(split.budget, split.limit);
        ASSERT_GE(split.pages, page_bytes);
        ASSERT_GE(split.grammars, 16 * mb);
        ASSERT_LE(split.media, (split.budget - gb - 100 * mb) / 8);
      }
}

TEST(MemoryBudget, TakesWhatIsNamedWhereNoBudgetIs) {
  auto asked = options();
  asked.kv_pool_tokens = 16 * 3000;
  asked.media_cache_bytes = 5 * mb;
  const auto split = share_out(4 * gb, asked);
  EXPECT_EQ(split.pages, 3000 * page_bytes);
  EXPECT_EQ(split.media, 5 * mb);
}

TEST(MemoryBudget, DecodedPicturesAreInTheMachinesMemory) {
  const auto options = pippin::engine::options(0, 2 * gb);
  MemoryBudget budget(4 * gb, options);
  budget.take_model(gb, 0);
  EXPECT_EQ(budget.grant_decoded(true, 2 * gb), gb / 2);
  EXPECT_EQ(budget.split().used(), gb);  // of the device's
  auto asked = pippin::engine::options(0, 2 * gb);
  asked.decoded_bytes = 2 * gb;
  EXPECT_THROW(share_out(4 * gb, asked), Error);
  asked.decoded_bytes = 7 * mb;
  EXPECT_EQ(share_out(4 * gb, asked).decoded, 7 * mb);
}

TEST(MemoryBudget, RefusesWhatContradictsANamedBudget) {
  auto asked = options(0, 2 * gb);
  asked.kv_pool_tokens = 16 * 3000;
  EXPECT_THROW(share_out(4 * gb, asked), Error);
  asked = options(0, 2 * gb);
  asked.media_cache_bytes = 2 * gb;
  EXPECT_THROW(share_out(4 * gb, asked), Error);
  EXPECT_THROW(share_out(gb, options(0, 2 * gb)), Error);
}

TEST(MemoryBudget, NamesTheNumbersOfAModelThatDoesNotFit) {
  try {
    share_out(4 * gb, options(0.5), 3 * gb);
    FAIL() << "it fits";
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find("3.00 GB"), std::string::npos) << error.what();
    EXPECT_NE(std::string(error.what()).find("2.00 GB"), std::string::npos) << error.what();
  }
  EXPECT_THROW(share_out(4 * gb, options(), 5 * gb), Error);  // not a page is left
}

// Pages of 1 MB and states of 32 MB: a snapshot at every 1024 tokens adds half a page to a page.
TEST(MemoryBudget, SharesWhatIsLeftBetweenPagesStatesAndSnapshots) {
  MemoryBudget::CacheNeeds needs{page_bytes, 32 * mb, 1024, 1'000'000};
  for (const bool reuse : {true, false}) {
    auto named = options(0, 8 * gb);
    named.max_sequences = 16;
    named.prefix_cache = reuse;
    MemoryBudget budget(16 * gb, named);
    budget.take_model(gb, 0);
    const auto grant = budget.grant_cache(needs);
    const auto& split = budget.split();
    EXPECT_LE(split.used(), split.budget);
    EXPECT_GT(split.used(), split.budget - 64 * mb);
    EXPECT_EQ(split.states, grant.slots * needs.slot_bytes);
    EXPECT_EQ(grant.slots, 16 + (reuse ? grant.pages / 64 : 0));
  }
}

TEST(MemoryBudget, RunningStatesTakeHalfOfTheCacheAtMost) {
  MemoryBudget budget(16 * gb, options(0, 2 * gb));
  budget.take_model(gb, 0);
  const auto grant = budget.grant_cache({page_bytes, 100 * mb, 2048, 1'000'000});
  EXPECT_EQ(grant.slots, 5 + grant.pages / 128);
  EXPECT_LE(budget.split().used(), budget.split().budget);
}

TEST(MemoryBudget, RefusesAModelWhoseStateLeavesNoPage) {
  MemoryBudget budget(16 * gb, options(0, 2 * gb));
  budget.take_model(gb, 0);
  EXPECT_THROW(budget.grant_cache({page_bytes, 2 * gb, 2048, 1000}), Error);
}

// LFM2-1.2B's convolutions, and Qwen3-Next-80B's gated delta layers.
TEST(SnapshotTokens, FollowTheirSize) {
  EXPECT_EQ(default_snapshot_tokens(16 * 12288, 163840, 16), 512);
  EXPECT_EQ(default_snapshot_tokens(16 * 24576, 75 * mb, 16), 2048);
  EXPECT_EQ(default_snapshot_tokens(16 * 16384, 4 * mb, 16), 1024);
  EXPECT_EQ(default_snapshot_tokens(24 * 12288, 163840, 24), 528);  // whole pages
  EXPECT_EQ(default_snapshot_tokens(0, mb, 16), 2048);
}

}  // namespace
}  // namespace pippin::engine
