#include "engine/sampler.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <numeric>
#include <random>

#include "kernels/testing.h"

namespace pippin::engine {
namespace {

using testing::random_array;
using testing::to_vector;

std::vector<std::int32_t> tokens_of(mx::array x) {
  x.eval();
  return {x.data<std::int32_t>(), x.data<std::int32_t>() + x.size()};
}

// The definition, in doubles; `safe` is false where u lies so near a boundary that float32 may decide otherwise.
std::int32_t naive(const std::vector<float>& logits, const SampleRow& row, bool& safe) {
  const auto V = logits.size();
  std::vector<std::size_t> order(V);
  std::iota(order.begin(), order.end(), 0u);
  std::stable_sort(order.begin(), order.end(),
                   [&](auto a, auto b) { return logits[a] > logits[b]; });
  safe = true;
  if (row.options.temperature <= 0) return static_cast<std::int32_t>(order[0]);
  std::vector<double> p;
  for (const auto i : order)
    p.push_back(std::exp((logits[i] - logits[order[0]]) / row.options.temperature));
  if (row.options.top_k > 0)
    for (std::size_t i = static_cast<std::size_t>(row.options.top_k); i < V; ++i) p[i] = 0;
  const double total = std::accumulate(p.begin(), p.end(), 0.0);
  double before = 0;
  std::vector<double> kept(V, 0.0);
  for (std::size_t i = 0; i < V; ++i) {
    const double share = p[i] / total;
    // The first is always kept; later ones are unsure within rounding of a filter's bound.
    const double floor = row.options.min_p * p[0] / total;
    const bool top_p_unsure = row.options.top_p < 1 && std::abs(before - row.options.top_p) < 1e-5;
    const bool min_p_unsure = row.options.min_p > 0 && share > 0 && std::abs(share - floor) < 1e-6;
    if (i > 0 && (top_p_unsure || min_p_unsure)) safe = false;
    if (i == 0 || (before < row.options.top_p && share >= floor)) kept[i] = share;
    before += share;
  }
  const double target = row.uniform * std::accumulate(kept.begin(), kept.end(), 0.0);
  double cumulative = 0;
  std::size_t choice = 0;
  for (std::size_t i = 0; i < V; ++i) {
    if (kept[i] > 0) choice = i;
    cumulative += kept[i];
    if (std::abs(cumulative - target) < 1e-5) safe = false;
    if (cumulative > target) break;
  }
  return static_cast<std::int32_t>(order[choice]);
}

std::vector<SampleRow> random_rows(int count, std::mt19937& random) {
  const auto pick = [&](std::vector<float> values) { return values[random() % values.size()]; };
  std::vector<SampleRow> rows;
  for (int i = 0; i < count; ++i) {
    SampleRow row;
    row.options.temperature = pick({0, 0.3f, 1, 1, 2});
    row.options.top_p = pick({1, 1, 0.9f, 0.5f, 0.01f});
    row.options.top_k = static_cast<int>(pick({0, 0, 1, 5, 40, 500}));
    row.options.min_p = pick({0, 0, 0.05f, 0.5f, 1});
    row.uniform = uniform_of(random(), i);
    rows.push_back(row);
  }
  return rows;
}

TEST(Sampler, EqualsTheDefinition) {
  std::mt19937 random(3);
  int compared = 0;
  for (int round = 0; round < 20; ++round) {
    const auto rows = random_rows(16, random);
    const auto logits =
        random_array({16, 150}, 100 + static_cast<std::uint64_t>(round)) * mx::array(3.0f);
    const auto got = tokens_of(sample(logits, rows));
    const auto values = to_vector(logits);
    for (std::size_t i = 0; i < rows.size(); ++i) {
      bool safe;
      const auto wanted = naive({values.begin() + static_cast<std::ptrdiff_t>(i * 150),
                                 values.begin() + static_cast<std::ptrdiff_t>((i + 1) * 150)},
                                rows[i], safe);
      if (!safe) continue;
      EXPECT_EQ(got[i], wanted) << "row " << i << " temperature " << rows[i].options.temperature
                                << " top_k " << rows[i].options.top_k;
      ++compared;
    }
  }
  EXPECT_GT(compared, 250);
}

TEST(Sampler, ARowIsTheSameAloneAndInABatch) {
  std::mt19937 random(4);
  const auto rows = random_rows(32, random);
  const auto logits = random_array({32, 150}, 5) * mx::array(3.0f);
  const auto together = tokens_of(sample(logits, rows));
  for (int i = 0; i < 32; ++i)
    EXPECT_EQ(tokens_of(sample(mx::slice(logits, {i, 0}, {i + 1, 150}),
                               {rows[static_cast<std::size_t>(i)]}))
                  .front(),
              together[static_cast<std::size_t>(i)]);
}

TEST(Sampler, ATinyTemperatureIsGreedy) {
  const auto logits = random_array({1, 150}, 6);
  SampleRow row;
  row.options.temperature = 0;
  const auto best = tokens_of(sample(logits, {row}));
  for (const float temperature : {1e-45f, 1e-38f, 1e-20f, 1e-6f, 1e-4f}) {
    row.options.temperature = temperature;
    row.uniform = 0.999f;
    EXPECT_EQ(tokens_of(sample(logits, {row})), best) << temperature;
  }
}

TEST(Sampler, DrawsInProportion) {
  const std::vector<float> probabilities = {0.5f, 0.3f, 0.15f, 0.05f};
  std::vector<float> logits;
  for (const float p : probabilities) logits.push_back(std::log(p));
  constexpr int count = 4000;
  const auto row = mx::array(logits.begin(), {1, 4}, mx::float32);
  std::vector<SampleRow> rows;
  for (int i = 0; i < count; ++i) rows.push_back({SamplingOptions{}, uniform_of(42, i)});
  std::map<int, int> seen;
  for (const auto token : tokens_of(sample(mx::repeat(row, count, 0), rows))) ++seen[token];
  // Five standard deviations of a binomial count.
  for (int i = 0; i < 4; ++i) {
    const double p = probabilities[static_cast<std::size_t>(i)];
    EXPECT_NEAR(seen[i], count * p, 5 * std::sqrt(count * p * (1 - p)));
  }
}

TEST(Sampler, TheUniformNumberDependsOnSeedAndIndex) {
  EXPECT_EQ(uniform_of(1, 2), uniform_of(1, 2));
  EXPECT_NE(uniform_of(1, 2), uniform_of(1, 3));
  EXPECT_NE(uniform_of(1, 2), uniform_of(2, 2));
  EXPECT_NE(uniform_of(1, 2), uniform_of(2, 1));
  double sum = 0;
  for (int i = 0; i < 10000; ++i) {
    const float u = uniform_of(7, i);
    ASSERT_TRUE(u >= 0 && u < 1);
    sum += u;
  }
  EXPECT_NEAR(sum / 10000, 0.5, 0.02);
}

}  // namespace
}  // namespace pippin::engine
