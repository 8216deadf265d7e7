// The whole engine below the tokenizer with a recurrent model: whatever happens to its states, the same tokens come out.
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <fstream>
#include <memory>
#include <new>
#include <random>
#include <tuple>
#include <utility>
#include <vector>

#include "base/sanitized.h"
#include "engine/disk/testing.h"
#include "engine/recurrent_testing.h"
#include "engine/testing.h"

namespace pippin::engine {
namespace {

using namespace testing;
namespace fs = std::filesystem;

using Tokens = std::vector<std::int32_t>;

Tokens words(int count, unsigned seed) {
  std::mt19937 random(seed);
  Tokens tokens;
  for (int i = 0; i < count; ++i)
    tokens.push_back(static_cast<std::int32_t>(random() % HashModel::vocab));
  return tokens;
}

Tokens joined(Tokens a, const Tokens& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

class Recurrent : public ::testing::TestWithParam<std::tuple<bool, bool>> {
 protected:
  // The model of these tests reads a layout's slots, which our kernels' layouts leave out.
  const kernels::gpu::UseExecutor mlx_{nullptr};

  HashConfig config() const {
    HashConfig config;
    std::tie(config.host_memory, config.overlap) = GetParam();
    return config;
  }

  // Returns how many tokens of the prompt came from the cache.
  static std::int64_t ask(Loop& loop, const Tokens& prompt, int count = 12) {
    const auto sequence = hash_question(prompt, count);
    EXPECT_EQ(answer(loop, sequence), hash_answer(prompt, static_cast<std::size_t>(count)));
    return sequence->output->cached_tokens();
  }

  static void expect_no_leak(const Loop& loop) {
    const auto stats = idle_stats(loop);
    EXPECT_EQ(stats.pages_free + stats.pages_cached, stats.pages_total);
  }
};

TEST_P(Recurrent, AloneAndAmongOthersOfUnequalLength) {
  const auto loop = make_hash_loop(config());
  ask(*loop, words(100, 1));
  std::vector<std::shared_ptr<Sequence>> all;
  for (int i = 0; i < 12; ++i) {
    all.push_back(hash_question(words(1 + i * 17 % 90, static_cast<unsigned>(i % 5)), 3 + i));
    loop->submit(all.back());
  }
  for (const auto& sequence : all) {
    const Tokens prompt(sequence->tokens.begin(), sequence->tokens.begin() + sequence->num_prompt);
    EXPECT_EQ(read_all(*sequence),
              hash_answer(prompt, static_cast<std::size_t>(sequence->max_tokens)));
  }
  expect_no_leak(*loop);
}

TEST_P(Recurrent, ColdAndWarmWithAnotherRequestBetween) {
  const auto loop = make_hash_loop(config());
  const auto prompt = words(75, 1);
  EXPECT_EQ(ask(*loop, prompt), 0);
  ask(*loop, words(90, 2));
  EXPECT_EQ(ask(*loop, prompt), 64);  // the last full page but the last token's
  EXPECT_EQ(ask(*loop, words(90, 2)), 80);
}

// All of turn one but its last token, which no step has computed.
TEST_P(Recurrent, TheNextTurnComputesItsNewTokensAlone) {
  const auto loop = make_hash_loop(config());
  auto chat = words(41, 3);
  for (int turn = 0; turn < 5; ++turn) {
    const auto cached = ask(*loop, chat, 11);
    if (turn > 0) {
      EXPECT_EQ(cached, static_cast<std::int64_t>(chat.size()) - 24);
    }
    chat = joined(joined(chat, hash_answer(chat, 11)), words(23, static_cast<unsigned>(turn)));
  }
}

// The token that ends an answer may have been computed ahead by then: the state is after it, and so is the snapshot.
TEST_P(Recurrent, AnAnswerThatEndsByItselfLeavesItsState) {
  const auto loop = make_hash_loop(config());
  const auto prompt = words(50, 4);
  const auto all = hash_answer(prompt, 12);
  auto sequence = hash_question(prompt, 12);
  sequence->end_tokens = {all[7]};
  answer(*loop, sequence);
  const auto end = std::find(all.begin(), all.end(), all[7]) + 1;
  const auto next = joined(joined(prompt, {all.begin(), end}), words(9, 5));
  EXPECT_GE(ask(*loop, next), static_cast<std::int64_t>(next.size()) - 10);
}

TEST_P(Recurrent, APromptThatPartsFromAnotherBeginsAtASnapshot) {
  const auto loop = make_hash_loop(config());
  const auto prompt = words(200, 6);
  ask(*loop, prompt);
  for (const std::ptrdiff_t common : {150, 70, 33, 31}) {
    const auto other = joined({prompt.begin(), prompt.begin() + common}, words(40, 7));
    const auto cached = ask(*loop, other);
    EXPECT_LE(cached, common);
    EXPECT_GT(cached, common - 32) << "more than one interval is recomputed";
  }
}

TEST_P(Recurrent, ChunksOfAnySizeGiveTheSame) {
  for (const int tokens : {1, 7, 16, 33, 512}) {
    auto small = config();
    small.max_batch_tokens = tokens;
    ask(*make_hash_loop(small), words(130, 8), 6);
  }
}

TEST_P(Recurrent, PreemptedSequencesGoOnWhereTheyWere) {
  auto tight = config();
  tight.num_pages = 14;
  tight.num_slots = 6;
  const auto loop = make_hash_loop(tight);
  std::vector<std::shared_ptr<Sequence>> all;
  for (unsigned i = 0; i < 6; ++i) {
    all.push_back(hash_question(words(20 + static_cast<int>(i), 20 + i), 60));
    loop->submit(all.back());
  }
  for (unsigned i = 0; i < 6; ++i)
    EXPECT_EQ(read_all(*all[i]), hash_answer(words(20 + static_cast<int>(i), 20 + i), 60)) << i;
  EXPECT_GT(idle_stats(*loop).preemptions, 0);
  expect_no_leak(*loop);
}

TEST_P(Recurrent, SequencesWaitForASlot) {
  auto few = config();
  few.num_slots = 1;
  const auto loop = make_hash_loop(few);
  std::vector<std::shared_ptr<Sequence>> all;
  for (unsigned i = 0; i < 5; ++i) {
    all.push_back(hash_question(words(40, i), 8));
    loop->submit(all.back());
  }
  for (unsigned i = 0; i < 5; ++i) EXPECT_EQ(read_all(*all[i]), hash_answer(words(40, i), 8));
}

TEST_P(Recurrent, SeveralAnswersToOnePromptComputeItOnce) {
  const auto loop = make_hash_loop(config());
  std::vector<std::shared_ptr<Sequence>> all;
  for (int i = 0; i < 4; ++i) {
    all.push_back(hash_question(words(100, 9), 5));
    loop->submit(all.back());
  }
  for (const auto& sequence : all) EXPECT_EQ(read_all(*sequence), hash_answer(words(100, 9), 5));
  for (int i = 1; i < 4; ++i)
    EXPECT_EQ(all[static_cast<std::size_t>(i)]->output->cached_tokens(), 96) << i;
}

TEST_P(Recurrent, WithoutAPrefixCacheNothingIsKept) {
  auto plain = config();
  plain.prefix_cache = false;
  plain.num_slots = 2;
  const auto loop = make_hash_loop(plain);
  for (int i = 0; i < 3; ++i) EXPECT_EQ(ask(*loop, words(70, 10)), 0);
  EXPECT_EQ(idle_stats(*loop).snapshots, 0);
}

TEST_P(Recurrent, ClearedCachesLeaveNoSnapshot) {
  const auto loop = make_hash_loop(config());
  ask(*loop, words(70, 10));
  EXPECT_GT(idle_stats(*loop).snapshots, 0);
  loop->clear_caches().get();
  EXPECT_EQ(loop->stats().snapshots, 0);
  EXPECT_EQ(ask(*loop, words(70, 10)), 0);
}

class RecurrentRestart : public Recurrent {
 protected:
  HashConfig on_disk() const {
    auto all = config();
    all.cache_dir = folder_.path();
    return all;
  }
  const Folder folder_;
};

// At most one interval, and the page that was not full.
TEST_P(RecurrentRestart, FindsPagesAndSnapshotsOnDisk) {
  const auto prompt = words(150, 11);
  ask(*make_hash_loop(on_disk()), prompt, 40);
  const auto next = joined(joined(prompt, hash_answer(prompt, 40)), words(10, 12));
  const auto loop = make_hash_loop(on_disk());
  EXPECT_GE(ask(*loop, next), 150 + 40 - 32 - 16);
  EXPECT_EQ(ask(*loop, prompt), 144);
  EXPECT_EQ(ask(*loop, joined({prompt.begin(), prompt.begin() + 50}, words(60, 13))), 32);
  const auto stats = idle_stats(*loop);
  EXPECT_EQ(stats.disk.damaged + stats.disk.unreadable + stats.disk.absent, 0);
  expect_no_leak(*loop);
}

TEST_P(RecurrentRestart, DamagedFilesAreComputedAgain) {
  for (unsigned seed = 0; seed < 4; ++seed) {
    const Folder folder;
    auto all = config();
    all.cache_dir = folder.path();
    for (unsigned i = 0; i < 3; ++i) ask(*make_hash_loop(all), words(150, i), 20);
    std::mt19937 random(seed);
    for (const auto& entry : list_entries(folder.path()))
      if (random() % 3 == 0) fs::resize_file(path_of(folder.path(), entry.name), random() % 100);
    const auto loop = make_hash_loop(all);
    std::vector<std::shared_ptr<Sequence>> asked;
    for (unsigned i = 0; i < 9; ++i) {
      asked.push_back(hash_question(words(150, i % 3), 20));
      loop->submit(asked.back());
    }
    for (unsigned i = 0; i < 9; ++i)
      EXPECT_EQ(read_all(*asked[i]), hash_answer(words(150, i % 3), 20)) << seed;
    EXPECT_GT(idle_stats(*loop).disk.damaged, 0);
    expect_no_leak(*loop);
  }
}

// Prompts are prefixes of each other, in pools of all sizes, with readers that leave or are slow and steps that fail.
TEST_P(Recurrent, RandomSchedulesGiveTheSameTokens) {
  std::int64_t preemptions = 0, evicted = 0, cached = 0, failed = 0, ahead = 0;
  for (unsigned seed = 0; seed < static_cast<unsigned>(rounds(8, 2)); ++seed) {
    std::mt19937 random(seed);
    const auto up_to = [&](std::size_t count) { return random() % count; };
    const Folder folder;
    auto any = config();
    any.num_pages = 16 + static_cast<int>(up_to(40));
    any.num_slots = 2 + static_cast<int>(up_to(12));
    any.max_batch_tokens = 8 + static_cast<int>(up_to(80));
    any.snapshot_tokens = 16 * (1 + static_cast<int>(up_to(4)));
    if (up_to(3) == 0) any.cache_dir = folder.path();
    const bool breaks = up_to(3) == 0;
    std::atomic<int> launched = 0, read = 0;
    any.before_step = [&] {
      if (breaks && ++launched % 29 == 0) throw std::bad_alloc();
    };
    any.before_read = [&] {
      if (breaks && ++read % 23 == 0) throw std::bad_alloc();
    };
    const auto loop = make_hash_loop(any);
    struct Asked {
      std::shared_ptr<Sequence> sequence;
      Tokens expected;
      std::size_t leaves_after;  ///< tokens
    };
    std::vector<Asked> all;
    for (int i = 0; i < 16; ++i) {
      auto prompt = words(1 + static_cast<int>(up_to(100)), static_cast<unsigned>(up_to(3)));
      if (i > 0 && up_to(3) == 0) {
        const auto& earlier = all[up_to(all.size())];
        prompt = earlier.sequence->num_prompt < 60
                     ? joined({earlier.sequence->tokens.begin(),
                               earlier.sequence->tokens.begin() + earlier.sequence->num_prompt},
                              earlier.expected)
                     : prompt;
        prompt = joined(prompt, words(static_cast<int>(up_to(20)), seed));
      }
      const auto count = 1 + up_to(40);
      all.push_back({hash_question(prompt, static_cast<int>(count)), hash_answer(prompt, count),
                     up_to(5) == 0 ? 1 + up_to(6) : 1000});
      if (up_to(4) == 0) all.back().sequence->end_tokens = {all.back().expected[up_to(count)]};
      all.back().sequence->priority = up_to(4) == 0 ? -1 : 0;
      all.back().sequence->output->stall_at(up_to(3) == 0 ? 3u : 0u);
      loop->submit(all.back().sequence);
      if (up_to(2) == 0) std::this_thread::sleep_for(std::chrono::milliseconds(up_to(4)));
    }
    for (const auto& one : all) {
      const auto [got, whole, failure] = read_some(*one.sequence, one.leaves_after);
      if (failure) {
        EXPECT_TRUE(breaks) << failure->what();
        ++failed;
      }
      ASSERT_LE(got.size(), one.expected.size()) << "schedule " << seed;
      if (whole && one.sequence->end_tokens.empty()) {
        EXPECT_EQ(got.size(), one.expected.size());
      }
      ASSERT_TRUE(std::equal(got.begin(), got.end(), one.expected.begin())) << "schedule " << seed;
    }
    expect_no_leak(*loop);
    const auto stats = idle_stats(*loop);
    preemptions += stats.preemptions;
    evicted += stats.snapshots_evicted;
    cached += stats.cached_tokens;
    ahead += stats.step.ahead;
  }
  EXPECT_GT(cached, 100);
  EXPECT_EQ(ahead > 0, config().overlap);
  if (sanitized) return;  // too few schedules
  EXPECT_GT(preemptions, 0);
  EXPECT_GT(evicted, 0);
  EXPECT_GT(failed, 0);
}

std::string name_of_memory(const ::testing::TestParamInfo<std::tuple<bool, bool>>& info) {
  return std::string(std::get<0>(info.param) ? "host" : "mlx") +
         (std::get<1>(info.param) ? "_ahead" : "_in_turn");
}

std::vector<std::tuple<bool, bool>> memories() {
  if (mx::default_device() == mx::Device::gpu) return {{false, false}, {false, true}};
  return {{false, false}, {false, true}, {true, false}, {true, true}};
}

INSTANTIATE_TEST_SUITE_P(Memory, Recurrent, ::testing::ValuesIn(memories()), name_of_memory);
INSTANTIATE_TEST_SUITE_P(Memory, RecurrentRestart, ::testing::ValuesIn(memories()), name_of_memory);

}  // namespace
}  // namespace pippin::engine
