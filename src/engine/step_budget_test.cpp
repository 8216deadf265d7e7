#include "engine/step_budget.h"

#include <gtest/gtest.h>

namespace pippin::engine {
namespace {

// A machine on which a prompt token takes `token_ms`, and decode rows `decode_ms` a step.
struct Machine {
  double token_ms, decode_ms;
  double ms(int decode_rows, int prefill_tokens) const {
    return (decode_rows > 0 ? decode_ms : 0) + token_ms * prefill_tokens;
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
