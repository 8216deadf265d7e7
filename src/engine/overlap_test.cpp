// Steps that are launched before the ones before them are read: the same tokens come out, whatever happens meanwhile.
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <memory>
#include <new>
#include <random>
#include <span>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "base/sanitized.h"
#include "engine/testing.h"

namespace pippin::engine {
namespace {

using namespace testing;

using Tokens = std::vector<std::int32_t>;

// Only tokens of even numbers.
class Even final : public Constraint {
 public:
  bool restricts() const override { return true; }
  void fill(std::span<std::uint32_t> words) noexcept override {
    std::fill(words.begin(), words.end(), 0x55555555u);
  }
  void accept(std::int32_t token) override {
    if (token % 2 != 0) throw Error(Code::internal, "an odd token");
  }
  std::vector<std::int32_t> forced() override { return {}; }
  bool finished() const override { return false; }
};

/// What is asked, to be asked again and again.
struct Wish {
  int prompt = 20;
  unsigned words = 0;
  std::vector<unsigned> pictures = {};
  float temperature = 0;
  int max_tokens = 12;
  bool even = false;   ///< constrained
  float presence = 0;  ///< penalty
  int top_logprobs = -1;
  int min_tokens = 0;
  Tokens end_tokens = {};

  std::shared_ptr<Sequence> sequence() const {
    auto made = make_sequence(prompt, words, pictures, temperature);
    made->max_tokens = max_tokens;
    if (even) made->constraint = std::make_shared<Even>();
    made->sampling.presence_penalty = presence;
    made->sampling.top_logprobs = top_logprobs;
    made->min_tokens = min_tokens;
    made->end_tokens = end_tokens;
    return made;
  }
};

// Alone, step by step.
Tokens answer_of(How how, const Wish& wish) {
  Config config{.how = how};
  config.prefix_cache = false;
  return answer(*make_loop(config), wish.sequence());
}

struct Case {
  Wish wish;
  Tokens answer;
};

std::vector<Case> cases_for(How how) {
  Config config{.how = how};
  config.prefix_cache = false;
  config.media_cache_bytes = 0;
  const auto loop = make_loop(config);
  std::vector<Case> cases;
  const auto add = [&](const Wish& wish) {
    cases.push_back({wish, answer(*loop, wish.sequence())});
    return cases.back().answer;
  };
  for (unsigned i = 0; i < 4; ++i) {
    const int prompt = 3 + 17 * static_cast<int>(i);
    const float temperature = i % 2 ? 0.8f : 0.0f;
    Wish wish{.prompt = prompt, .words = i, .temperature = temperature};
    const auto free = add(wish);
    wish.end_tokens = {free[2 + i]};  // ends where nobody could know
    add(wish);
    wish.min_tokens = 6;
    add(wish);
    add({.prompt = prompt, .words = i, .temperature = temperature, .max_tokens = 1});
    add({.prompt = prompt, .words = i + 9, .temperature = temperature, .top_logprobs = 2});
    add({.prompt = prompt, .words = i + 9, .temperature = temperature, .presence = 1.5f});
    add({.prompt = prompt, .words = i + 9, .temperature = temperature, .even = true});
    add({.prompt = prompt + 1, .words = i, .pictures = {i}, .temperature = temperature});
    add({.prompt = prompt, .words = i + 20, .max_tokens = 40});
  }
  return cases;
}

class Overlap : public ::testing::TestWithParam<How> {
 protected:
  Config overlapped() const {
    Config config{.how = GetParam()};
    config.overlap = true;
    return config;
  }
  EngineStats stats_after(const Wish& wish) const {
    const auto loop = make_loop(overlapped());
    EXPECT_EQ(answer(*loop, wish.sequence()), answer_of(GetParam(), wish));
    return idle_stats(*loop);
  }
};

TEST_P(Overlap, EveryStepOfAnAnswerIsLaunchedAhead) {
  const auto stats = stats_after({.words = 1});
  EXPECT_EQ(stats.steps, 12);
  EXPECT_EQ(stats.step.ahead, 11);
  EXPECT_EQ(stats.wasted_tokens, 0);  // it ends by its length, which is known
}

TEST_P(Overlap, ATokenThatEndsTheAnswerIsFollowedByOneInVain) {
  Wish wish{.words = 1};
  const auto free = answer_of(GetParam(), wish);
  wish.end_tokens = {free[4]};
  const auto loop = make_loop(overlapped());
  EXPECT_EQ(answer(*loop, wish.sequence()), answer_of(GetParam(), wish));
  // Known a step after the answer's end.
  for (int i = 0; i < 5000 && loop->stats().wasted_tokens == 0; ++i)
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  EXPECT_EQ(loop->stats().wasted_tokens, 1);
}

TEST_P(Overlap, ChunksOfAPromptAreLaunchedAheadToo) {
  auto config = overlapped();
  config.max_batch_tokens = 16;
  const auto loop = make_loop(config);
  const Wish wish{.prompt = 100, .words = 2, .max_tokens = 1};
  EXPECT_EQ(answer(*loop, wish.sequence()), answer_of(GetParam(), wish));
  const auto stats = idle_stats(*loop);
  EXPECT_EQ(stats.steps, 7);
  EXPECT_EQ(stats.step.ahead, 6);
}

TEST_P(Overlap, WhatDependsOnTheTokensWaitsForThem) {
  EXPECT_EQ(stats_after({.words = 1, .even = true}).step.ahead, 0);
  EXPECT_EQ(stats_after({.words = 1, .presence = 1}).step.ahead, 0);
}

TEST_P(Overlap, RandomSchedulesGiveTheSameTokens) {
  const auto cases = cases_for(GetParam());
  std::int64_t ahead = 0, in_vain = 0, preemptions = 0, failed = 0;
  for (unsigned seed = 0; seed < 12; ++seed) {
    std::mt19937 random(seed);
    const auto up_to = [&](std::size_t count) { return random() % count; };
    auto config = overlapped();
    config.num_pages = 14 + static_cast<int>(up_to(40));
    config.max_batch_tokens = 16 + static_cast<int>(up_to(80));
    config.prefix_cache = up_to(4) != 0;
    const bool breaks = up_to(3) == 0;
    // When it is launched, or when it is read and the next one has been launched.
    std::atomic<int> launched = 0, read = 0;
    config.before_step = [&] {
      if (breaks && ++launched % 29 == 0) throw std::bad_alloc();
    };
    config.before_read = [&] {
      if (breaks && ++read % 23 == 0) throw std::bad_alloc();
    };
    const auto loop = make_loop(config);
    struct Asked {
      std::shared_ptr<Sequence> sequence;
      const Tokens* expected;
      std::size_t leaves_after;  ///< tokens
    };
    std::vector<Asked> all;
    for (int i = 0; i < 20; ++i) {
      const auto& one = cases[up_to(cases.size())];
      all.push_back({one.wish.sequence(), &one.answer, up_to(5) == 0 ? 1 + up_to(6) : 1000});
      all.back().sequence->priority = up_to(4) == 0 ? -1 : 0;
      all.back().sequence->output->stall_at(up_to(3) == 0 ? 3u : 0u);
      loop->submit(all.back().sequence);
      if (up_to(2) == 0) std::this_thread::sleep_for(std::chrono::milliseconds(up_to(8)));
    }
    for (const auto& one : all) {
      const auto [got, whole, failure] = read_some(*one.sequence, one.leaves_after);
      if (failure) {
        EXPECT_TRUE(breaks) << failure->what();
        ++failed;
      }
      auto expected = *one.expected;
      ASSERT_LE(got.size(), expected.size()) << "schedule " << seed;
      if (!whole) expected.resize(got.size());
      ASSERT_EQ(got, expected) << "schedule " << seed;
    }
    const auto stats = idle_stats(*loop);
    EXPECT_EQ(stats.pages_free + stats.pages_cached, stats.pages_total) << "schedule " << seed;
    ahead += stats.step.ahead;
    in_vain += stats.wasted_tokens;
    preemptions += stats.preemptions;
  }
  EXPECT_GT(ahead, 100);
  EXPECT_GT(in_vain, 0);
  EXPECT_GT(preemptions, 0);
  EXPECT_GT(failed, 0);
}

std::vector<How> ways() {
  if (mx::default_device() == mx::Device::gpu) return {How::mlx, How::mlx_kv8};
  if (sanitized) return {How::mlx, How::cpu_int8};
  return {How::mlx, How::cpu_float32, How::cpu_int8, How::mlx_kv4};
}

INSTANTIATE_TEST_SUITE_P(Kernels, Overlap, ::testing::ValuesIn(ways()), name_of);

}  // namespace
}  // namespace pippin::engine
