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

// Gemma 3 1B in 16 bits: of 26 layers 22 have a window of 512 tokens. Bytes of a page of 16 tokens.
constexpr std::int64_t gemma_layer = 16 * 2 * 256 * 2, gemma_window = 22 * gemma_layer;
MemoryBudget::CacheNeeds gemma_needs() {
  MemoryBudget::CacheNeeds needs;
  needs.page_bytes = 26 * gemma_layer;
  needs.context = 32768;
  needs.window_page_bytes = gemma_window;
  needs.window = {512, 16, 512};
  return needs;
}

TEST(MemoryBudget, ALongContextTakesWhatItsLayersNeed) {
  auto one = options(0, 8 * gb);
  one.kv_pool_tokens = 32768;
  one.max_sequences = 1;
  one.prefix_cache = false;
  MemoryBudget budget(16 * gb, one);
  budget.take_model(gb, 0);
  const auto grant = budget.grant_cache(gemma_needs());
  EXPECT_EQ(grant.pages, 2048);
  // Four layers keep all tokens, the others 512; and the rows of two steps.
  const double layers = 2048.0 * 4 * gemma_layer + (512 + 2 * 512) / 16.0 * gemma_window;
  EXPECT_LT(static_cast<double>(budget.split().pages), 1.05 * layers);
  EXPECT_LT(static_cast<double>(budget.split().pages), 0.2 * 2048 * 26 * gemma_layer);
}

TEST(MemoryBudget, WindowsShareANamedBudgetWithPages) {
  for (const std::int64_t size : {2, 4, 8}) {
    MemoryBudget budget(16 * gb, options(0, size * gb));
    budget.take_model(gb, 0);
    auto needs = gemma_needs();
    needs.context = 1'000'000;
    const auto grant = budget.grant_cache(needs);
    const auto fixed = 64 * needs.window.of_sequence() + needs.window.of_steps();
    EXPECT_LE(grant.window_pages, fixed + grant.pages * needs.window.of_sequence() / 2048);
    EXPECT_GE(grant.window_pages, needs.window.of_sequence() + needs.window.of_steps());
    EXPECT_LE(budget.split().used(), budget.split().budget);
    EXPECT_GT(budget.split().used(), budget.split().budget - mb);
  }
}

// What is named, or a quarter of the memory, is shared, however much more is left.
TEST(MemoryBudget, WindowsTakeHalfOfTheAttentionCacheAtMost) {
  auto named = options(0, 64 * gb);
  named.kv_pool_bytes = gb;
  auto automatic = options();
  for (const auto& each : {named, automatic}) {
    MemoryBudget budget(each.kv_pool_bytes > 0 ? 64 * gb : 4 * gb, each);
    budget.take_model(gb, 0);
    auto needs = gemma_needs();
    needs.context = 1'000'000;
    const auto grant = budget.grant_cache(needs);
    EXPECT_GT(grant.window_pages, 0);
    EXPECT_LT(grant.window_pages * gemma_window, gb / 2 + grant.pages * gemma_window / 50);
    EXPECT_LE(budget.split().pages, gb);
    EXPECT_GT(budget.split().pages, gb - mb);
  }
}

// Pages themselves hold nothing then.
TEST(MemoryBudget, AModelWhoseLayersAllHaveAWindowKeepsWithinItsBudget) {
  for (const bool reuse : {true, false}) {
    auto each = options(0, 8 * gb);
    each.prefix_cache = reuse;
    MemoryBudget budget(16 * gb, each);
    budget.take_model(gb, 0);
    auto needs = gemma_needs();
    needs.page_bytes = needs.window_page_bytes;
    const auto grant = budget.grant_cache(needs);
    EXPECT_GT(grant.window_pages, 0);
    EXPECT_GT(grant.pages, grant.window_pages);
    EXPECT_LT(grant.pages, 64 * 8 * gb / needs.page_bytes);
    EXPECT_LE(budget.split().used(), budget.split().budget);
  }
}

TEST(MemoryBudget, AWindowIsNoLongerThanTheContext) {
  auto needs = gemma_needs();
  needs.window.window = 1 << 20;
  needs.context = 4096;
  MemoryBudget budget(64 * gb, options(0, 60 * gb));
  budget.take_model(gb, 0);
  const auto grant = budget.grant_cache(needs);
  EXPECT_GT(grant.window_pages, 0);
  EXPECT_LE(grant.window_pages, 64 * (4096 / 16 + 1) + needs.window.of_steps() + grant.pages / 4);
}

TEST(MemoryBudget, WindowsAreNotApartWhereThatWouldTakeMore) {
  auto few = options(0, 8 * gb);
  few.kv_pool_tokens = 2048;
  MemoryBudget budget(16 * gb, few);
  budget.take_model(gb, 0);
  const auto grant = budget.grant_cache(gemma_needs());
  EXPECT_EQ(grant.window_pages, 0);
  EXPECT_EQ(budget.split().pages, 128 * 26 * gemma_layer);
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
