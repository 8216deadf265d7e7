// The engine's equalities for families other than the one that its own tests run: the same answers alone, in a batch, in chunks and from
// cached pages.
#include <gtest/gtest.h>

#include "engine/testing.h"

namespace pippin::engine {
namespace {

using namespace testing;  // of the engine's checkpoints

struct Family {
  const char* checkpoint;
  How how;
};

std::unique_ptr<Loop> loop_of(const Family& family, int max_batch_tokens, bool prefix_cache) {
  return std::make_unique<Loop>([=] {
    const auto cpu = backend_of(family.how);
    const auto dir = std::filesystem::path(PIPPIN_SOURCE_DIR) / "tests/golden" / family.checkpoint;
    constexpr int num_pages = 64;
    RunnerOptions runner{16, num_pages, {}, kv_of(family.how), cpu};
    Loop::Options loop;
    loop.num_pages = num_pages;
    loop.prefix_cache = prefix_cache;
    loop.scheduler.max_batch_tokens = max_batch_tokens;
    loop.scheduler.max_sequences = 16;
    return std::pair{std::make_unique<Runner>(models::load_model(dir, {.cpu = cpu}), runner), loop};
  });
}

class FamilyTest : public ::testing::TestWithParam<Family> {};

TEST_P(FamilyTest, BatchChunksAndCachesChangeNoToken) {
  const int lengths[] = {3, 18, 37, 50};
  std::vector<std::vector<std::int32_t>> alone;
  const auto single = loop_of(GetParam(), 512, false);
  for (const int length : lengths)
    alone.push_back(answer(*single, make_sequence(length, static_cast<unsigned>(length))));
  const auto batched = loop_of(GetParam(), 16, true);
  for (const char* round : {"new", "cached"}) {
    std::vector<std::shared_ptr<Sequence>> sequences;
    for (const int length : lengths) {
      sequences.push_back(make_sequence(length, static_cast<unsigned>(length)));
      batched->submit(sequences.back());
    }
    for (std::size_t i = 0; i < sequences.size(); ++i)
      EXPECT_EQ(read_all(*sequences[i]), alone[i]) << round << " " << lengths[i];
  }
  EXPECT_EQ(alone.back().size(), 12u);
}

INSTANTIATE_TEST_SUITE_P(Families, FamilyTest,
                         ::testing::Values(Family{"llama-bf16", How::mlx},
                                           Family{"llama-bf16", How::cpu_float32},
                                           Family{"gemma3_text-bf16", How::cpu_float32},
                                           Family{"gemma3_text-bf16", How::cpu_kv8},
                                           Family{"ministral3-bf16", How::cpu_float32}),
                         [](const auto& info) {
                           std::string name = std::string(info.param.checkpoint) + "_" +
                                              name_of({info.param.how, 0});
                           for (char& c : name)
                             c = std::isalnum(static_cast<unsigned char>(c)) ? c : '_';
                           return name;
                         });

}  // namespace
}  // namespace pippin::engine
