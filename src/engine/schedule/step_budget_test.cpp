#include "engine/schedule/step_budget.h"

#include <gtest/gtest.h>

namespace pippin::engine {
namespace {

// A machine on which a prompt token takes `token_ms`, decode rows `decode_ms` a step, and any prompt tokens `fixed_ms` a step.
struct Machine {
  double token_ms, decode_ms, fixed_ms = 0;
  double ms(int decode_rows, int prefill_tokens) const {
    return (decode_rows > 0 ? decode_ms : 0) + token_ms * prefill_tokens +
           (prefill_tokens > 0 ? fixed_ms : 0);
  }
};

void run(StepBudget& budget, const Machine& machine, int steps, int decode_rows) {
  for (int i = 0; i < steps; ++i) {
    const int tokens = budget.prefill_tokens(decode_rows);
    budget.observe(decode_rows, tokens, machine.ms(decode_rows, tokens));
    budget.observe(decode_rows, 0, machine.ms(decode_rows, 0));
  }
}

TEST(StepBudget, TakesAllRoomWhereNobodyWaits) {
  EXPECT_EQ(StepBudget(512, 100).prefill_tokens(0), 512);
}

TEST(StepBudget, FindsTheChunkThatFitsTheTarget) {
  StepBudget budget(2048, 100);
  run(budget, {0.5, 20}, 30, 4);
  EXPECT_NEAR(budget.prefill_tokens(4), (100 - 20) / 0.5, 2);
}

TEST(StepBudget, FollowsAMachineThatBecomesSlower) {
  StepBudget budget(2048, 100);
  run(budget, {0.1, 5}, 30, 4);
  run(budget, {1.0, 10}, 30, 4);
  EXPECT_NEAR(budget.prefill_tokens(4), 90, 2);
}

TEST(StepBudget, TellsAStepsFixedPartFromATokensCost) {
  StepBudget budget(8192, 100);
  run(budget, {0.02, 5, 40}, 30, 4);
  EXPECT_NEAR(budget.prefill_tokens(4), (100 - 5 - 40) / 0.02, 60);
  EXPECT_NEAR(budget.prefill_ms(100), 2, 0.1);
}

// A plan made anew for each step: small chunks would make it worse.
TEST(StepBudget, DoesNotShrinkChunksForWhatTheyDoNotCost) {
  StepBudget budget(2048, 100);
  run(budget, {0.02, 5, 300}, 30, 4);
  EXPECT_EQ(budget.prefill_tokens(4), 2044);
}

// The order in which chunks come says nothing: prompts end, and leave a small one.
TEST(StepBudget, LearnsFromChunksOfAnySize) {
  const Machine machine{0.05, 5, 30};
  StepBudget budget(4096, 100);
  for (int i = 0; i < 60; ++i) {
    const int tokens = 8 + i * 37 % 500;
    budget.observe(4, tokens, machine.ms(4, tokens));
    budget.observe(4, 0, machine.ms(4, 0));
  }
  EXPECT_NEAR(budget.prefill_tokens(4), (100 - 5 - 30) / 0.05, 30);
}

TEST(StepBudget, OneSlowStepMisleadsNobody) {
  const Machine machine{0.1, 5};
  StepBudget budget(2048, 100);
  run(budget, machine, 10, 4);
  const int before = budget.prefill_tokens(4);
  for (int i = 0; i < 5; ++i) {
    budget.observe(4, before, machine.ms(4, before) + 30000);  // compiles
    EXPECT_NEAR(budget.prefill_tokens(4), before, 2);
    budget.observe(4, 0, 700);
    EXPECT_NEAR(budget.prefill_tokens(4), before, 2);
    run(budget, machine, 1, 4);
  }
}

// Also where it is the first of all.
TEST(StepBudget, AFirstStepThatCompilesIsForgotten) {
  StepBudget budget(2048, 100);
  budget.observe(0, 512, 60000);
  run(budget, {0.1, 5}, 5, 4);
  EXPECT_NEAR(budget.prefill_tokens(4), 950, 20);
}

TEST(StepBudget, LetsPromptsGetOnBesideSlowDecodeRows) {
  StepBudget budget(512, 100);
  run(budget, {1.0, 300}, 30, 64);
  EXPECT_EQ(budget.prefill_tokens(64), 16);
}

TEST(StepBudget, NeverExceedsTheStep) {
  StepBudget budget(64, 100);
  run(budget, {0.001, 1}, 30, 60);
  EXPECT_EQ(budget.prefill_tokens(60), 4);
  EXPECT_EQ(budget.prefill_tokens(64), 0);
  EXPECT_EQ(budget.prefill_tokens(80), 0);
}

}  // namespace
}  // namespace pippin::engine
