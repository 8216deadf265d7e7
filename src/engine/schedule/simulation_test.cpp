#include "engine/schedule/simulation.h"

#include <gtest/gtest.h>

namespace pippin::engine {
namespace {

constexpr int page_size = 16;

struct Load {
  int requests = 200;
  double requests_per_s = 50;
  int longest_prompt = 400;
  int longest_answer = 40;
  double share_cancelled = 0;
};

std::vector<SimulatedRequest> make_load(const Load& load, unsigned seed) {
  std::mt19937 random(seed);
  const auto up_to = [&](int most) {
    return 1 + static_cast<int>(random() % static_cast<unsigned>(most));
  };
  std::exponential_distribution<double> gap(load.requests_per_s / 1000);
  std::vector<SimulatedRequest> requests;
  double now = 0;
  for (int i = 0; i < load.requests; ++i) {
    SimulatedRequest request;
    request.arrival_ms = now += gap(random);
    request.prompt_tokens = up_to(load.longest_prompt);
    request.answer_tokens = up_to(load.longest_answer);
    request.group = static_cast<int>(random() % 4);
    request.shared_tokens = static_cast<int>(random() % 100);
    request.priority = random() % 10 == 0 ? -1 : 0;
    if (random() % 1000 < 1000 * load.share_cancelled) request.patience_ms = up_to(2000);
    requests.push_back(request);
  }
  return requests;
}

SchedulerOptions options(int max_batch_tokens = 256, int max_sequences = 16) {
  SchedulerOptions options;
  options.max_batch_tokens = max_batch_tokens;
  options.max_sequences = max_sequences;
  return options;
}

// Whatever comes: all are served, no step is too large, no page is lost, and what is cancelled is gone in the next step.
TEST(Simulation, HoldsUnderRandomLoads) {
  for (unsigned seed = 0; seed < 60; ++seed) {
    std::mt19937 random(seed);
    const auto limits =
        options(32 + static_cast<int>(random() % 300), 1 + static_cast<int>(random() % 20));
    const int num_pages = 30 + static_cast<int>(random() % 200);
    Simulation simulation(limits, num_pages, page_size, {});
    Load load;
    load.share_cancelled = 0.2;
    const auto requests = make_load(load, seed);
    const auto outcomes = simulation.run(requests, [&](const Batch& batch) {
      ASSERT_LE(batch.num_tokens, limits.max_batch_tokens);
      ASSERT_EQ(simulation.pages().check(simulation.scheduler().pages_in_use()), "");
      for (const auto& chunk : batch.chunks) ASSERT_FALSE(chunk.sequence->output->cancelled());
    });
    EXPECT_EQ(simulation.pages().num_available(), num_pages);
    for (const auto& outcome : outcomes) {
      EXPECT_GE(outcome.end_ms, 0);
      EXPECT_TRUE(outcome.cancelled || outcome.first_token_ms >= 0);
    }
  }
}

// More than the machine can do, for a while: nobody waits longer than it takes to serve all that came before, twice.
TEST(Simulation, StarvesNobodyInARush) {
  Load rush;
  rush.requests = 2000;
  rush.requests_per_s = 500;
  Simulation simulation(options(), 400, page_size, {});
  const auto outcomes = simulation.run(make_load(rush, 3));
  double longest = 0;
  for (const auto& outcome : outcomes) longest = std::max(longest, outcome.first_token_ms);
  EXPECT_LT(longest, simulation.now_ms());
  EXPECT_GT(longest, 0);
}

// A prompt of 32,768 tokens, then streams and short requests beside it.
TEST(Simulation, ALongPromptHoldsNeitherStreamsNorShortRequestsUp) {
  const SimulatedMachine machine{5, 0.2, 0.2};
  auto limits = options(2048, 16);
  limits.max_itl_ms = 50;
  Simulation simulation(limits, 4000, page_size, machine);
  std::vector<SimulatedRequest> requests;
  for (int i = 0; i < 8; ++i) requests.push_back({0, 32, 400});
  requests.push_back({500, 32768, 10});
  for (int i = 0; i < 8; ++i) requests.push_back({600.0 + 100 * i, 64, 10});
  const auto outcomes = simulation.run(requests);
  for (int i = 0; i < 8; ++i) EXPECT_LT(outcomes[static_cast<std::size_t>(i)].longest_gap_ms, 100);
  for (int i = 9; i < 17; ++i) EXPECT_LT(outcomes[static_cast<std::size_t>(i)].first_token_ms, 200);
  // It gets on all the same: alone it would take 32768 * 0.2 ms.
  EXPECT_LT(outcomes[8].first_token_ms, 3 * 32768 * 0.2);
}

TEST(Simulation, AShortPromptPassesLongOnesThatWait) {
  Simulation simulation(options(256, 2), 4000, page_size, {5, 0.2, 1});
  std::vector<SimulatedRequest> requests;
  for (int i = 0; i < 6; ++i) requests.push_back({10.0 * i, 4000});
  requests.push_back({500, 20});
  const auto outcomes = simulation.run(requests);
  EXPECT_LT(outcomes[6].first_token_ms, outcomes[5].first_token_ms / 2);
}

TEST(Simulation, PriorityGoesFirst) {
  Simulation simulation(options(256, 1), 4000, page_size, {});
  std::vector<SimulatedRequest> requests;
  for (int i = 0; i < 20; ++i) requests.push_back({0, 100, 20});
  requests.push_back({100, 1000, 20, 0, 0, -1});
  const auto outcomes = simulation.run(requests);
  int later = 0;
  for (int i = 0; i < 20; ++i)
    later +=
        outcomes[static_cast<std::size_t>(i)].first_token_ms > 100 + outcomes[20].first_token_ms;
  EXPECT_GE(later, 18);
}

// Eight that come at once with one prompt: one computes it.
TEST(Simulation, APromptThatManySendIsComputedOnce) {
  Simulation simulation(options(64, 16), 4000, page_size, {});
  std::vector<SimulatedRequest> requests(8, SimulatedRequest{0, 1600, 4, 1, 1600});
  std::int64_t computed = 0;
  simulation.run(requests, [&](const Batch& batch) { computed += batch.num_tokens; });
  EXPECT_LT(computed, 1600 + 8 * (page_size + 4));
}

}  // namespace
}  // namespace pippin::engine
