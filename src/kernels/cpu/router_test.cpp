#include "kernels/cpu/router.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

namespace pippin::cpu {
namespace {

struct Routed {
  std::vector<std::int32_t> chosen;
  std::vector<float> weights;
};

Routed routed(const RouterOptions& options, const std::vector<float>& logits,
              const std::vector<float>& correction = {}) {
  Team team(2);
  const auto rows = logits.size() / static_cast<std::size_t>(options.num_experts);
  const auto size = rows * static_cast<std::size_t>(options.top_k);
  Routed result{std::vector<std::int32_t>(size), std::vector<float>(size)};
  route(team, options, logits.data(), correction.empty() ? nullptr : correction.data(),
        static_cast<int>(rows), result.chosen.data(), result.weights.data());
  return result;
}

float sigmoid(float x) { return 1 / (1 + std::exp(-x)); }

using Chosen = std::vector<std::int32_t>;

TEST(Router, ChoosesTheBestInOrder) {
  const auto r = routed({.num_experts = 3, .top_k = 2}, {0, std::log(3.0f), std::log(4.0f),  //
                                                         5, 5, 5});
  EXPECT_EQ(r.chosen, (Chosen{2, 1, 0, 1}));
  for (const auto& [i, wanted] : {std::pair{0u, 0.5f}, {1u, 0.375f}, {2u, 1.0f / 3}})
    EXPECT_NEAR(r.weights[i], wanted, 1e-6f);
}

TEST(Router, NormalizesAndScales) {
  const std::vector<float> logits = {0, std::log(3.0f), std::log(4.0f)};
  for (const auto scores : {RouterScores::softmax, RouterScores::softmax_of_chosen}) {
    const auto r = routed({.num_experts = 3,
                           .top_k = 2,
                           .scores = scores,
                           .normalize = scores == RouterScores::softmax,
                           .scale = 7},
                          logits);
    EXPECT_EQ(r.chosen, (Chosen{2, 1}));
    EXPECT_NEAR(r.weights[0], 4, 1e-5f);
    EXPECT_NEAR(r.weights[1], 3, 1e-5f);
  }
}

TEST(Router, ScalesOfExpertsWeighButDoNotChoose) {
  Team team(1);
  const std::vector<float> logits = {0, std::log(3.0f), std::log(4.0f)}, scales = {9, 2, 0.5f};
  std::vector<std::int32_t> chosen(2);
  std::vector<float> weights(2);
  route(team, {.num_experts = 3, .top_k = 2, .scores = RouterScores::softmax_of_chosen},
        logits.data(), nullptr, 1, chosen.data(), weights.data(), scales.data());
  EXPECT_EQ(chosen, (Chosen{2, 1}));
  EXPECT_NEAR(weights[0], 0.5f * 4 / 7, 1e-6f);
  EXPECT_NEAR(weights[1], 2.0f * 3 / 7, 1e-6f);
}

TEST(Router, CorrectionChoosesButDoesNotWeigh) {
  const auto r = routed({.num_experts = 3, .top_k = 1, .scores = RouterScores::sigmoid}, {1, 2, 3},
                        {0.5f, 0, 0});
  EXPECT_EQ(r.chosen, (Chosen{0}));
  EXPECT_NEAR(r.weights[0], sigmoid(1), 1e-6f);
}

// The best expert of all lies in a group whose best two are poor.
TEST(Router, OnlyTheBestGroupsAreChosenFrom) {
  RouterOptions options{.num_experts = 6, .top_k = 2, .scores = RouterScores::sigmoid};
  const std::vector<float> logits = {9, -9, 2, 1, 0, 0.5f};
  EXPECT_EQ(routed(options, logits).chosen, (Chosen{0, 2}));
  options.groups = 3;
  options.kept_groups = 1;
  EXPECT_EQ(routed(options, logits).chosen, (Chosen{2, 3}));
  options.kept_groups = 2;
  EXPECT_EQ(routed(options, logits).chosen, (Chosen{2, 3}));
  options.kept_groups = 3;
  EXPECT_EQ(routed(options, logits).chosen, (Chosen{0, 2}));
  // A group is as good as its best.
  options.group_best = 1;
  options.kept_groups = 1;
  EXPECT_EQ(routed(options, logits).chosen, (Chosen{0, 1}));
  // Groups of one expert.
  options.groups = 6;
  options.kept_groups = 2;
  EXPECT_EQ(routed(options, logits).chosen, (Chosen{0, 2}));
}

}  // namespace
}  // namespace pippin::cpu
