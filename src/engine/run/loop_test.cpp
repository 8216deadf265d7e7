// The whole engine below the tokenizer, on a tiny seeded checkpoint: what must be equal is equal.
#include "engine/run/loop.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>

#include "base/sanitized.h"
#include "engine/testing.h"

namespace pippin::engine {
namespace {

using namespace testing;

// Prompts of many lengths, with and without pictures, greedy and sampled.
std::vector<std::shared_ptr<Sequence>> workload() {
  std::vector<std::shared_ptr<Sequence>> sequences;
  for (unsigned i = 0; i < 10; ++i)
    sequences.push_back(make_sequence(
        3 + 7 * static_cast<int>(i), i,
        i % 3 ? std::vector<unsigned>(i % 3, i) : std::vector<unsigned>{}, i % 2 ? 0.8f : 0.0f));
  return sequences;
}

std::vector<std::vector<std::int32_t>> alone(const Config& config) {
  const auto loop = make_loop(config);
  std::vector<std::vector<std::int32_t>> answers;
  for (const auto& sequence : workload()) answers.push_back(answer(*loop, sequence));
  return answers;
}

std::vector<std::vector<std::int32_t>> together(const Config& config) {
  const auto loop = make_loop(config);
  const auto sequences = workload();
  for (const auto& sequence : sequences) loop->submit(sequence);
  std::vector<std::vector<std::int32_t>> answers;
  for (const auto& sequence : sequences) answers.push_back(read_all(*sequence));
  return answers;
}

Config with(How how, int num_pages, int max_batch_tokens) {
  Config c;
  c.how = how;
  c.num_pages = num_pages;
  c.max_batch_tokens = max_batch_tokens;
  return c;
}

Config without_caches(How how, int max_batch_tokens) {
  Config c = with(how, 64, max_batch_tokens);
  c.prefix_cache = false;
  c.media_cache_bytes = 0;
  return c;
}

const std::vector<std::vector<std::int32_t>>& reference(How how = How::mlx) {
  static std::map<How, std::vector<std::vector<std::int32_t>>> answers;
  const auto it = answers.find(how);
  return it != answers.end() ? it->second : answers[how] = alone(without_caches(how, 512));
}

class Equalities : public ::testing::TestWithParam<How> {
  const GpuKernels kernels_{GetParam()};
};

TEST_P(Equalities, BatchedEqualsSingle) {
  EXPECT_EQ(together(with(GetParam(), 64, 512)), reference(GetParam()));
}

TEST_P(Equalities, ChunkedEqualsWhole) {
  EXPECT_EQ(alone(without_caches(GetParam(), 16)), reference(GetParam()));
  EXPECT_EQ(together(with(GetParam(), 64, 19)), reference(GetParam()));
}

TEST_P(Equalities, PreemptedEqualsUndisturbed) {
  EXPECT_EQ(together(with(GetParam(), 14, 64)), reference(GetParam()));
}

TEST_P(Equalities, CachedEqualsUncached) {
  const auto loop = make_loop(with(GetParam(), 64, 512));
  for (int round = 0; round < 2; ++round) {
    const auto before = loop->stats();
    std::vector<std::vector<std::int32_t>> answers;
    for (const auto& sequence : workload()) answers.push_back(answer(*loop, sequence));
    EXPECT_EQ(answers, reference(GetParam()));
    const auto after = loop->stats();
    if (round == 1) {
      EXPECT_GT(after.cached_tokens - before.cached_tokens, 100);
      EXPECT_EQ(after.encoder_runs, before.encoder_runs);
    }
  }
}

TEST_P(Equalities, ClearedEqualsCached) {
  const auto loop = make_loop(with(GetParam(), 64, 512));
  for (int round = 0; round < 2; ++round) {
    std::vector<std::vector<std::int32_t>> answers;
    for (const auto& sequence : workload()) answers.push_back(answer(*loop, sequence));
    EXPECT_EQ(answers, reference(GetParam()));
    const auto before = loop->stats();
    EXPECT_GT(before.media_cache_bytes, 0);
    const auto cleared = loop->clear_caches().get();
    EXPECT_GT(cleared.pages, 0);
    EXPECT_EQ(cleared.media, before.media_cache_entries);
    const auto after = loop->stats();
    EXPECT_EQ(after.pages_free, after.pages_total);
    EXPECT_EQ(after.media_cache_bytes, 0);
  }
}

TEST_P(Equalities, ClearingDoesNotDisturbWhatRuns) {
  const auto loop = make_loop(with(GetParam(), 64, 16));
  const auto sequences = workload();
  for (const auto& sequence : sequences) loop->submit(sequence);
  for (const auto& sequence : sequences) {
    loop->clear_caches().get();
    EXPECT_EQ(read_all(*sequence),
              reference(GetParam())[static_cast<std::size_t>(&sequence - sequences.data())]);
  }
}

std::vector<How> ways() {
  if (mx::default_device() == mx::Device::gpu) return {How::mlx, How::mlx_kv8, How::mlx_kv4};
  // Sanitizers see each kind of kernel and of pages.
  if (sanitized) return {How::mlx, How::cpu_float32, How::cpu_kv8, How::mlx_kv4};
  return {How::mlx,     How::cpu_float32, How::cpu_int8, How::mlx_kv8,
          How::mlx_kv4, How::cpu_kv8,     How::cpu_kv4,  How::gpu_emulated};
}

INSTANTIATE_TEST_SUITE_P(Kernels, Equalities, ::testing::ValuesIn(ways()), name_of);

TEST(Loop, PicturesUnderTheSameWordsGetTheirOwnAnswers) {
  const auto fresh = [](const std::vector<unsigned>& pictures) {
    return answer(*make_loop({}), make_sequence(20, 1, pictures));
  };
  const auto loop = make_loop({});
  const std::vector<std::vector<unsigned>> orders = {{3, 6}, {6, 3}, {3, 3}, {6, 6}};
  std::vector<std::vector<std::int32_t>> answers;
  for (const auto& order : orders) {
    answers.push_back(answer(*loop, make_sequence(20, 1, order)));
    EXPECT_EQ(answers.back(), fresh(order));
  }
  EXPECT_NE(answers[0], answers[1]);
  EXPECT_NE(answers[0], answers[2]);
  EXPECT_EQ(loop->stats().encoder_runs, 2);
}

TEST(Loop, ACancelledRequestGivesItsPagesBack) {
  const auto loop = make_loop({});
  auto sequence = make_sequence(40, 1);
  sequence->max_tokens = 900;
  loop->submit(sequence);
  sequence->output->next();
  sequence->output->cancel();
  const auto stats = idle_stats(*loop);
  EXPECT_EQ(stats.sequences_running, 0);
  EXPECT_EQ(stats.pages_free + stats.pages_cached, stats.pages_total);
}

TEST(Loop, AFullQueueRefuses) {
  const auto loop = make_loop({.num_pages = 14});
  std::vector<std::shared_ptr<Sequence>> sequences;
  bool refused = false;
  for (unsigned i = 0; i < 80 && !refused; ++i) {
    sequences.push_back(make_sequence(30, i));
    sequences.back()->max_tokens = 100;
    try {
      loop->submit(sequences.back());
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), Code::resource_exhausted);
      refused = true;
    }
  }
  EXPECT_TRUE(refused);
}

TEST(Loop, ABrokenRequestFailsAloneAndOthersAnswerRight) {
  const auto loop = make_loop({});
  auto broken = make_sequence(20, 1, {3});
  auto patches = broken->media[0].patches->get();
  patches.values.resize(patches.values.size() / 2);  // fewer values than the grid says
  broken->media[0].patches = as_cut(std::move(patches));
  const auto sequences = workload();
  for (std::size_t i = 0; i < sequences.size(); ++i) {
    loop->submit(sequences[i]);
    if (i == 4) loop->submit(broken);
  }
  EXPECT_THROW(read_all(*broken), Error);
  for (std::size_t i = 0; i < sequences.size(); ++i) {
    try {
      EXPECT_EQ(read_all(*sequences[i]), reference()[i]);
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), Code::unavailable);  // was in the broken one's step
    }
  }
  EXPECT_EQ(answer(*loop, make_sequence(3, 0)), reference()[0]);
  const auto stats = idle_stats(*loop);
  EXPECT_EQ(stats.pages_free + stats.pages_cached, stats.pages_total);
}

TEST(Loop, DestroyingItEndsWhatIsRunning) {
  auto loop = make_loop({});
  auto sequence = make_sequence(40, 1);
  sequence->max_tokens = 900;
  loop->submit(sequence);
  sequence->output->next();
  loop.reset();
  EXPECT_THROW(read_all(*sequence), Error);
}

TEST(Loop, AStreamMayOutliveIt) {
  auto loop = make_loop({});
  auto sequence = make_sequence(40, 1);
  sequence->max_tokens = 400;
  loop->submit(sequence);
  loop.reset();
  sequence->output->cancel();  // must not reach the loop that is gone
  EXPECT_THROW(read_all(*sequence), Error);
}

TEST(Loop, APictureOverSeveralChunksIsEncodedAndCountedOnce) {
  const auto loop = make_loop({.max_batch_tokens = 16, .media_cache_bytes = 0});
  answer(*loop, make_sequence(10, 1, {5}));  // 6 x 8 patches: 12 rows beside the words
  answer(*loop, make_sequence(21, 1, {5}));
  EXPECT_EQ(idle_stats(*loop).encoder_runs, 2);
  EXPECT_EQ(idle_stats(*loop).encoder_hits, 0);
}

TEST(Loop, CountsATokenOfAPictureAsEncodedOnce) {
  const auto loop = make_loop({.max_batch_tokens = 16});
  const auto encoded = [&](int prompt, const std::vector<unsigned>& pictures) {
    const auto sequence = make_sequence(prompt, static_cast<unsigned>(prompt), pictures);
    answer(*loop, sequence);
    return std::pair{sequence->output->encoded_tokens(), sequence->num_media()};
  };
  const auto [cold, all] = encoded(10, {5});
  EXPECT_EQ(cold, all);
  EXPECT_EQ(encoded(12, {5}).first, 0);  // other words: found in the media cache
  const auto [half, both] = encoded(14, {5, 7});
  EXPECT_EQ(half, both - all);
}

TEST(Loop, ASetupThatFailsReachesTheCaller) {
  EXPECT_THROW(Loop([]() -> std::pair<std::unique_ptr<Runner>, Loop::Options> {
                 throw Error(Code::not_found, "none");
               }),
               Error);
}

TEST_P(Equalities, AnswersOfOnePromptComputeItOnce) {
  constexpr int num_choices = 8, prompt_tokens = 100, page = 16;
  const auto loop = make_loop(with(GetParam(), 128, 512));
  std::vector<std::shared_ptr<Sequence>> choices;
  for (int i = 0; i < num_choices; ++i) {
    auto sequence = make_sequence(prompt_tokens, 77, {}, 1);
    sequence->seed += static_cast<std::uint64_t>(i);
    choices.push_back(sequence);
  }
  for (const auto& sequence : choices) loop->submit(sequence);
  std::vector<std::vector<std::int32_t>> answers;
  for (const auto& sequence : choices) answers.push_back(read_all(*sequence));
  const auto stats = idle_stats(*loop);
  // All but one find every whole page; what is left of the last one each computes for itself.
  EXPECT_EQ(stats.cached_tokens, (num_choices - 1) * (prompt_tokens / page * page));
  // And their own seeds' words.
  std::sort(answers.begin(), answers.end());
  EXPECT_GT(std::unique(answers.begin(), answers.end()) - answers.begin(), 1);
}

TEST_P(Equalities, LogProbabilitiesChangeNoToken) {
  const auto loop = make_loop(without_caches(GetParam(), 512));
  std::vector<std::vector<std::int32_t>> answers;
  for (const auto& sequence : workload()) {
    sequence->sampling.top_logprobs = 3;
    loop->submit(sequence);
    auto& tokens = answers.emplace_back();
    while (const auto event = sequence->output->next()) {
      if (event->finish) break;
      tokens.push_back(event->token);
      ASSERT_TRUE(event->logprobs);
      EXPECT_EQ(event->logprobs->token, event->token);
      EXPECT_EQ(event->logprobs->top.size(), 3u);
    }
  }
  EXPECT_EQ(answers, reference(GetParam()));
}

TEST_P(Equalities, GeneratesAsManyTokensAsAreWantedAtLeast) {
  const auto loop = make_loop(with(GetParam(), 64, 512));
  const auto free = answer(*loop, make_sequence(20, 5));
  auto sequence = make_sequence(20, 5);
  sequence->end_tokens = {free[0], free[1], free[2]};
  sequence->min_tokens = 6;
  EXPECT_GE(answer(*loop, sequence).size(), 6u);
  sequence = make_sequence(20, 5);
  sequence->end_tokens = {free[2]};
  EXPECT_LE(answer(*loop, sequence).size(), 2u);
}

}  // namespace
}  // namespace pippin::engine
