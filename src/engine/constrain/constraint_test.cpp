// Restricted answers in the whole engine, on a tiny seeded checkpoint: what must be equal is equal.
#include "engine/constrain/constraint.h"

#include <gtest/gtest.h>

#include <set>

#include "engine/testing.h"

namespace pippin::engine {
namespace {

using namespace testing;

std::uint32_t mixed(std::uint32_t a, std::uint32_t b) {
  return (a * 2654435761u + b * 40503u) ^ (a >> 7);
}

// A made-up grammar: which tokens may follow depends on the one before. Some states have one way out, through a chain of
// others that have one.
class Web final : public Constraint {
 public:
  explicit Web(bool fast_forward) : fast_forward_(fast_forward) {}

  static std::set<std::int32_t> after(std::uint32_t state) {
    std::set<std::int32_t> tokens;
    const auto count = state % 3 == 0 ? 2 + state % 40 : 1;
    for (std::uint32_t i = 0; i < count; ++i)
      tokens.insert(static_cast<std::int32_t>(mixed(state, i) % 130));
    return tokens;
  }
  static std::uint32_t next(std::uint32_t state, std::int32_t token) {
    return mixed(state, static_cast<std::uint32_t>(token) + 7) % 1000;
  }

  bool restricts() const override { return true; }
  void fill(std::span<std::uint32_t> words) noexcept override {
    std::fill(words.begin(), words.end(), 0u);
    for (const auto token : after(state_))
      words[static_cast<std::size_t>(token) / 32] |= 1u << (token % 32);
  }
  void accept(std::int32_t token) override {
    if (!after(state_).contains(token)) throw Error(Code::unavailable, "not in the grammar");
    state_ = next(state_, token);
  }
  std::vector<std::int32_t> forced() override {
    std::vector<std::int32_t> tokens;
    auto state = state_;
    while (fast_forward_ && tokens.size() < 6) {
      const auto ways = after(state);
      if (ways.size() > 1) break;
      tokens.push_back(*ways.begin());
      state = next(state, *ways.begin());
    }
    return tokens;
  }
  bool finished() const override { return false; }

 private:
  const bool fast_forward_;
  std::uint32_t state_ = 3;
};

// Every other one is restricted.
std::vector<std::shared_ptr<Sequence>> workload(bool fast_forward) {
  std::vector<std::shared_ptr<Sequence>> sequences;
  for (unsigned i = 0; i < 10; ++i) {
    auto sequence = make_sequence(3 + 7 * static_cast<int>(i), i, {}, i % 3 ? 0.9f : 0.0f);
    sequence->max_tokens = 40;
    if (i % 2 == 0) sequence->constraint = std::make_unique<Web>(fast_forward);
    sequences.push_back(std::move(sequence));
  }
  return sequences;
}

using Answers = std::vector<std::vector<std::int32_t>>;

Answers together(How how, bool fast_forward, int num_pages = 64, int max_batch_tokens = 512) {
  const auto loop =
      make_loop({.how = how, .num_pages = num_pages, .max_batch_tokens = max_batch_tokens});
  const auto sequences = workload(fast_forward);
  for (const auto& sequence : sequences) loop->submit(sequence);
  Answers answers;
  for (const auto& sequence : sequences) answers.push_back(read_all(*sequence));
  EXPECT_EQ(idle_stats(*loop).preemptions > 0, num_pages < 20);
  return answers;
}

Answers alone(How how) {
  const auto loop = make_loop({.how = how});
  Answers answers;
  for (const auto& sequence : workload(false)) answers.push_back(answer(*loop, sequence));
  return answers;
}

class Restricted : public ::testing::TestWithParam<How> {};

TEST_P(Restricted, AnswersKeepToTheGrammar) {
  const auto answers = together(GetParam(), true);
  for (std::size_t i = 0; i < answers.size(); i += 2) {
    EXPECT_EQ(answers[i].size(), 40u);
    std::uint32_t state = 3;
    for (const auto token : answers[i]) {
      ASSERT_TRUE(Web::after(state).contains(token));
      state = Web::next(state, token);
    }
  }
}

// One at a time and without forced tokens, against all together, in chunks, with them, and preempted.
TEST_P(Restricted, HowItIsComputedDoesNotMatter) {
  const auto reference = alone(GetParam());
  EXPECT_EQ(together(GetParam(), false), reference);
  EXPECT_EQ(together(GetParam(), true), reference);
  EXPECT_EQ(together(GetParam(), true, 64, 19), reference);
  EXPECT_EQ(together(GetParam(), false, 16, 64), reference);
  EXPECT_EQ(together(GetParam(), true, 16, 64), reference);
}

TEST_P(Restricted, ForcedTokensSaveSteps) {
  int rows[2] = {0, 0};
  for (const bool fast_forward : {false, true}) {
    Config config{.how = GetParam()};
    config.on_step = [&](const StepRecord&) { ++rows[fast_forward]; };
    const auto loop = make_loop(config);
    auto sequence = make_sequence(10, 4);
    sequence->max_tokens = 60;
    sequence->constraint = std::make_unique<Web>(fast_forward);
    EXPECT_EQ(answer(*loop, sequence).size(), 60u);
    idle_stats(*loop);
  }
  EXPECT_LT(rows[1], rows[0] * 3 / 4);
}

// Finds out after some tokens that it can't go on: as a grammar does that gets too complex to follow.
class Failing final : public Constraint {
 public:
  explicit Failing(int tokens) : tokens_(tokens) {}
  bool restricts() const override { return true; }
  void fill(std::span<std::uint32_t> words) noexcept override {
    // No part of a mask that failed is right: it allows all, the tokens that end an answer, too.
    std::fill(words.begin(), words.end(), ~0u);
    failed_ = tokens_ == 0;
  }
  void check() const override {
    if (failed_) throw Error(Code::invalid_argument, "too complex", "response_format");
  }
  void accept(std::int32_t) override { --tokens_; }
  std::vector<std::int32_t> forced() override { return {}; }
  bool finished() const override { return false; }

 private:
  int tokens_;
  bool failed_ = false;
};

TEST_P(Restricted, AMaskThatFailedEndsItsAnswerWithTheError) {
  const auto loop = make_loop({.how = GetParam()});
  for (const int tokens : {0, 5}) {
    auto failing = make_sequence(10, 4);
    failing->max_tokens = 40;
    failing->constraint = std::make_unique<Failing>(tokens);
    auto other = make_sequence(10, 5);
    other->max_tokens = 40;
    loop->submit(failing);
    loop->submit(other);
    try {
      read_all(*failing);
      ADD_FAILURE() << "it ended as if nothing had happened";
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), Code::invalid_argument);
      EXPECT_EQ(error.field(), "response_format");
    }
    EXPECT_EQ(failing->num_generated(), tokens + 1);  // the last means nothing and is not told
    EXPECT_EQ(read_all(*other).size(), 40u);
  }
}

std::vector<How> ways() {
  if (mx::default_device() == mx::Device::gpu) return {How::mlx};
  return {How::mlx, How::cpu_float32, How::cpu_int8};
}

INSTANTIATE_TEST_SUITE_P(Kernels, Restricted, ::testing::ValuesIn(ways()), name_of);

}  // namespace
}  // namespace pippin::engine
