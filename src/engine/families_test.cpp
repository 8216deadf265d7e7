// The engine's equalities for families other than the one that its own tests run: the same answers alone, in a batch, in chunks and from
// cached pages.
#include <gtest/gtest.h>

#include "engine/disk/testing.h"
#include "engine/testing.h"

namespace pippin::engine {
namespace {

using namespace testing;  // of the engine's checkpoints

struct Family {
  const char* checkpoint;
  How how;
};

std::unique_ptr<Loop> loop_of(const Family& family, int max_batch_tokens, bool prefix_cache,
                              const std::filesystem::path& cache_dir = {}, int num_pages = 64) {
  return std::make_unique<Loop>([=] {
    const auto cpu = backend_of(family.how);
    const auto dir = std::filesystem::path(PIPPIN_SOURCE_DIR) / "tests/golden" / family.checkpoint;
    auto model = models::load_model(dir, {.cpu = cpu});
    RunnerOptions runner{16, num_pages, {}, kv_of(family.how), cpu};
    Loop::Options loop;
    if (nn::slot_bytes(model->traits().layers) > 0) runner.num_slots = loop.num_slots = 24;
    runner.disk = loop.disk = disk_of({.how = family.how, .cache_dir = cache_dir});
    loop.num_pages = num_pages;
    loop.prefix_cache = prefix_cache;
    loop.scheduler.max_batch_tokens = max_batch_tokens;
    loop.scheduler.max_sequences = 16;
    return std::pair{std::make_unique<Runner>(std::move(model), runner), loop};
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

// The first turn, its answer, and more words.
std::shared_ptr<Sequence> second_turn(const std::vector<std::int32_t>& answer) {
  auto sequence = make_sequence(45, 7);
  sequence->tokens.insert(sequence->tokens.end(), answer.begin(), answer.end());
  const auto words = make_sequence(20, 8);
  sequence->tokens.insert(sequence->tokens.end(), words->tokens.begin(), words->tokens.end());
  close_prompt(*sequence);
  return sequence;
}

// With other requests between the turns, and started anew on the same folder between them.
TEST_P(FamilyTest, ASecondTurnComputesItsNewTokensAndChangesNone) {
  const Folder folder;
  const auto plain = loop_of(GetParam(), 512, false);
  const auto first = answer(*plain, make_sequence(45, 7));
  const auto second = answer(*plain, second_turn(first));
  {
    const auto warm = loop_of(GetParam(), 512, true, folder.path());
    EXPECT_EQ(answer(*warm, make_sequence(45, 7)), first);
    answer(*warm, make_sequence(60, 9));
    const auto sequence = second_turn(first);
    EXPECT_EQ(answer(*warm, sequence), second);
    EXPECT_EQ(sequence->output->cached_tokens(), 45 + 11);  // no step has computed the last one
  }
  const auto restarted = loop_of(GetParam(), 512, true, folder.path());
  const auto sequence = second_turn(first);
  EXPECT_EQ(answer(*restarted, sequence), second);
  EXPECT_GE(sequence->output->cached_tokens(), (45 + 12 + 20) - 16);
}

TEST_P(FamilyTest, PreemptionsChangeNoToken) {
  const auto plain = loop_of(GetParam(), 512, false), tight = loop_of(GetParam(), 24, true, {}, 9);
  std::vector<std::shared_ptr<Sequence>> sequences;
  for (unsigned i = 0; i < 4; ++i) {
    sequences.push_back(make_sequence(20 + static_cast<int>(i), i));
    sequences.back()->max_tokens = 30;
    tight->submit(sequences.back());
  }
  for (unsigned i = 0; i < 4; ++i) {
    auto alone = make_sequence(20 + static_cast<int>(i), i);
    alone->max_tokens = 30;
    EXPECT_EQ(read_all(*sequences[i]), answer(*plain, alone)) << i;
  }
  EXPECT_GT(idle_stats(*tight).preemptions, 0);
}

INSTANTIATE_TEST_SUITE_P(
    Families, FamilyTest,
    ::testing::Values(Family{"llama-bf16", How::mlx}, Family{"llama-bf16", How::cpu_float32},
                      Family{"gemma3_text-bf16", How::cpu_float32},
                      Family{"gemma3_text-bf16", How::cpu_kv8}, Family{"lfm2-bf16", How::mlx},
                      Family{"lfm2-bf16", How::cpu_float32}, Family{"lfm2-mlx-4bit", How::cpu_kv8},
                      Family{"qwen3_5-f32", How::mlx}, Family{"qwen3_5-f32", How::cpu_float32},
                      Family{"qwen3_5-mlx-4bit", How::cpu_kv8},
                      Family{"ministral3-bf16", How::cpu_float32}),
    [](const auto& info) {
      std::string name = std::string(info.param.checkpoint) + "_" + name_of({info.param.how, 0});
      for (char& c : name) c = std::isalnum(static_cast<unsigned char>(c)) ? c : '_';
      return name;
    });

}  // namespace
}  // namespace pippin::engine
