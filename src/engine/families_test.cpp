// The engine's equalities for families other than the one that its own tests run: the same answers alone, in a batch, in chunks and from
// cached pages.
#include <gtest/gtest.h>

#include <functional>
#include <future>

#include "base/sanitized.h"
#include "engine/disk/index.h"
#include "engine/disk/testing.h"
#include "engine/testing.h"

namespace pippin::engine {
namespace {

using namespace testing;  // of the engine's checkpoints

struct Family {
  const char* checkpoint;
  How how;
  bool windows = false;   ///< layers with a window have pages of their own
  bool pictures = false;  ///< two in each prompt
};

std::unique_ptr<Loop> loop_of(const Family& family, int max_batch_tokens, bool prefix_cache,
                              const std::filesystem::path& cache_dir = {}, int num_pages = 64,
                              std::function<void()> before_step = {}) {
  return std::make_unique<Loop>([=] {
    const auto cpu = backend_of(family.how);
    const auto dir = std::filesystem::path(PIPPIN_SOURCE_DIR) / "tests/golden" / family.checkpoint;
    auto model = models::load_model(dir, {.cpu = cpu});
    RunnerOptions runner{16, num_pages, {1 << 20}, kv_of(family.how), cpu};
    Loop::Options loop;
    if (nn::slot_bytes(model->traits().layers) > 0) runner.num_slots = loop.num_slots = 24;
    runner.disk = loop.disk = disk_of({.how = family.how, .cache_dir = cache_dir});
    if (family.windows) {  // for two sequences
      loop.window = {nn::largest_window(model->traits().layers), 16, max_batch_tokens};
      runner.num_window_pages = loop.num_window_pages =
          std::min(num_pages, 2 * loop.window.of_sequence() + loop.window.of_steps());
    }
    loop.num_pages = num_pages;
    loop.before_step = before_step;
    loop.prefix_cache = prefix_cache;
    loop.scheduler.max_batch_tokens = max_batch_tokens;
    loop.scheduler.max_sequences = 16;
    return std::pair{std::make_unique<Runner>(std::move(model), runner), loop};
  });
}

class FamilyTest : public ::testing::TestWithParam<Family> {
 protected:
  const GpuKernels kernels_{GetParam().how};

  // A prompt of so many words, and pictures among them.
  static std::shared_ptr<Sequence> prompt(int words, unsigned seed) {
    return GetParam().pictures ? make_sequence(words, seed, {seed % 5, seed % 7})
                               : make_sequence(words, seed);
  }

  // The first turn, its answer, and more words.
  static std::shared_ptr<Sequence> second_turn(const std::vector<std::int32_t>& answer) {
    auto sequence = prompt(45, 7);
    sequence->tokens.insert(sequence->tokens.end(), answer.begin(), answer.end());
    const auto words = make_sequence(20, 8);
    sequence->tokens.insert(sequence->tokens.end(), words->tokens.begin(), words->tokens.end());
    close_prompt(*sequence);
    return sequence;
  }
};

TEST_P(FamilyTest, BatchChunksAndCachesChangeNoToken) {
  const int lengths[] = {3, 18, 37, 50};
  std::vector<std::vector<std::int32_t>> alone;
  const auto single = loop_of(GetParam(), 512, false);
  for (const int length : lengths)
    alone.push_back(answer(*single, prompt(length, static_cast<unsigned>(length))));
  const auto batched = loop_of(GetParam(), 16, true);
  for (const char* round : {"new", "cached"}) {
    std::vector<std::shared_ptr<Sequence>> sequences;
    for (const int length : lengths) {
      sequences.push_back(prompt(length, static_cast<unsigned>(length)));
      batched->submit(sequences.back());
    }
    for (std::size_t i = 0; i < sequences.size(); ++i)
      EXPECT_EQ(read_all(*sequences[i]), alone[i]) << round << " " << lengths[i];
  }
  EXPECT_EQ(alone.back().size(), 12u);
}

// With other requests between the turns, and started anew on the same folder between them.
TEST_P(FamilyTest, ASecondTurnComputesItsNewTokensAndChangesNone) {
  const Folder folder;
  const auto plain = loop_of(GetParam(), 512, false);
  const auto first = answer(*plain, prompt(45, 7));
  const auto second = answer(*plain, second_turn(first));
  {
    const auto warm = loop_of(GetParam(), 512, true, folder.path());
    const auto begin = prompt(45, 7);
    EXPECT_EQ(answer(*warm, begin), first);
    answer(*warm, prompt(60, 9));
    const auto sequence = second_turn(first);
    EXPECT_EQ(answer(*warm, sequence), second);
    // No step has computed the last one.
    EXPECT_EQ(sequence->output->cached_tokens(), begin->num_prompt + 11);
  }
  const auto restarted = loop_of(GetParam(), 512, true, folder.path());
  const auto sequence = second_turn(first);
  EXPECT_EQ(answer(*restarted, sequence), second);
  EXPECT_GE(sequence->output->cached_tokens(), sequence->num_prompt - 16);
}

TEST_P(FamilyTest, PreemptionsChangeNoToken) {
  std::promise<void> all_submitted;  // else a fast engine answers one before the next one comes
  const auto begin = all_submitted.get_future().share();
  const auto plain = loop_of(GetParam(), 512, false),
             tight = loop_of(GetParam(), 24, true, {}, 9, [begin] { begin.wait(); });
  const int count = GetParam().pictures ? 45 : 30;  // two answers don't fit
  std::vector<std::shared_ptr<Sequence>> sequences;
  for (unsigned i = 0; i < 4; ++i) {
    sequences.push_back(prompt(20 + static_cast<int>(i), i));
    sequences.back()->max_tokens = count;
    tight->submit(sequences.back());
  }
  all_submitted.set_value();
  for (unsigned i = 0; i < 4; ++i) {
    auto alone = prompt(20 + static_cast<int>(i), i);
    alone->max_tokens = count;
    EXPECT_EQ(read_all(*sequences[i]), answer(*plain, alone)) << i;
  }
  EXPECT_GT(idle_stats(*tight).preemptions, 0);
}

// The last two layers read what two others keep.
TEST(SharedKv, PagesOnDiskHoldTheLayersThatKeepThem) {
  const Folder folder;
  {
    const auto loop = loop_of({"gemma4_text-bf16", How::cpu_float32}, 512, true, folder.path());
    answer(*loop, make_sequence(45, 7));
  }
  const auto entries = list_entries(folder.path());
  EXPECT_GE(entries.size(), 3u);
  // Keys and values of 16 tokens, heads of 8, 8 and 16 numbers; then what the entry says of itself.
  constexpr std::int64_t numbers = 2 * 16 * (8 + 8 + 16);
  for (const auto& entry : entries) {
    EXPECT_GE(entry.size, 4 * numbers);
    EXPECT_LT(entry.size, 4 * numbers + 1000);
  }
}

// Under sanitizers one of each kind of state, kernels and weights.
std::vector<Family> families() {
  if (sanitized)
    return {Family{"llama-bf16", How::cpu_float32},
            Family{"gemma3_text-bf16", How::mlx, true},
            Family{"lfm2-bf16", How::cpu_float32},
            Family{"nemotron_h-mlx-4bit", How::cpu_kv8},
            Family{"qwen3_5_vision-mlx-4bit", How::cpu_kv8, false, true},
            Family{"gemma4-bf16", How::cpu_float32, true},
            Family{"glm4_moe_lite-mlx-4bit", How::cpu_kv8},
            Family{"gemma4_text-bf16", How::gpu_emulated}};
  return {Family{"llama-bf16", How::mlx},
          Family{"llama-bf16", How::cpu_float32},
          Family{"gemma3_text-bf16", How::cpu_float32},
          Family{"gemma3_text-bf16", How::cpu_kv8},
          Family{"gemma3_text-bf16", How::mlx, true},
          Family{"gemma3_text-bf16", How::cpu_float32, true},
          Family{"gpt_oss-bf16", How::cpu_float32, true},
          Family{"cohere2-bf16", How::cpu_kv8, true},
          Family{"lfm2-bf16", How::mlx},
          Family{"lfm2-bf16", How::cpu_float32},
          Family{"lfm2-mlx-4bit", How::cpu_kv8},
          Family{"qwen3_5-f32", How::mlx},
          Family{"qwen3_5-f32", How::cpu_float32},
          Family{"qwen3_5-mlx-4bit", How::cpu_kv8},
          Family{"ministral3-bf16", How::cpu_float32},
          Family{"nemotron_h_moe-bf16", How::mlx},
          Family{"nemotron_h_moe-bf16", How::cpu_float32},
          Family{"nemotron_h-mlx-4bit", How::cpu_kv8},
          Family{"qwen3_5_vision-bf16", How::mlx, false, true},
          Family{"qwen3_5_vision-bf16", How::cpu_float32, false, true},
          Family{"qwen3_5_vision-mlx-4bit", How::cpu_kv8, false, true},
          Family{"qwen3_5_moe-bf16", How::cpu_float32, false, true},
          Family{"qwen3_next-bf16", How::cpu_float32},
          Family{"lfm2_moe-bf16", How::cpu_float32},
          Family{"granitemoehybrid-bf16", How::cpu_float32},
          Family{"falcon_h1-bf16", How::cpu_float32},
          Family{"falcon_h1-mlx-4bit", How::cpu_kv8},
          Family{"hunyuan_v1_dense-bf16", How::cpu_float32},
          Family{"gemma4_text-bf16", How::mlx},
          Family{"gemma4_text-bf16", How::cpu_float32, true},
          Family{"gemma4-bf16", How::cpu_float32, true},
          Family{"gemma4-mlx-4bit", How::cpu_kv8},
          Family{"gemma4-mlx-4bit", How::mlx, true},
          Family{"gemma3n-bf16", How::cpu_float32, true},
          Family{"glm4_moe_lite-bf16", How::mlx},
          Family{"glm4_moe_lite-bf16", How::cpu_float32},
          Family{"glm4_moe_lite-mlx-4bit", How::cpu_kv8},
          Family{"deepseek_v2-bf16", How::cpu_float32},
          Family{"deepseek_v3-bf16", How::cpu_float32},
          Family{"mistral4-bf16", How::cpu_float32},
          Family{"llama-bf16", How::gpu_emulated},
          Family{"gemma3_text-bf16", How::gpu_emulated, true},
          Family{"gemma4-mlx-4bit", How::gpu_emulated, true},
          Family{"gemma4_text-bf16", How::gpu_emulated},
          Family{"glm4_moe_lite-mlx-4bit", How::gpu_emulated}};
}

INSTANTIATE_TEST_SUITE_P(Families, FamilyTest, ::testing::ValuesIn(families()),
                         [](const auto& info) {
                           std::string name = std::string(info.param.checkpoint) + "_" +
                                              name_of({info.param.how, 0}) +
                                              (info.param.windows ? "_windows" : "");
                           for (char& c : name)
                             c = std::isalnum(static_cast<unsigned char>(c)) ? c : '_';
                           return name;
                         });

}  // namespace
}  // namespace pippin::engine
