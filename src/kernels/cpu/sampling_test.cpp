#include "kernels/cpu/sampling.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <random>
#include <string>
#include <vector>

#include "kernels/cpu/isas_testing.h"

namespace pippin::cpu {
namespace {

constexpr float infinity = std::numeric_limits<float>::infinity();
using Logits = std::vector<float>;

Logits random_logits(std::size_t n, float spread, std::mt19937& random) {
  std::normal_distribution<float> normal(0, spread);
  Logits x(n);
  for (auto& v : x) v = normal(random);
  return x;
}

// Many equal values.
Logits coarse_logits(std::size_t n, std::mt19937& random) {
  Logits x(n);
  for (auto& v : x) v = static_cast<float>(random() % 9) - 4.0f;
  return x;
}

std::vector<std::size_t> order_of(const Logits& x) {
  std::vector<std::size_t> order(x.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](auto a, auto b) { return x[a] > x[b]; });
  return order;
}

// The kept tokens' probabilities by index, in doubles, by a full sort. `safe` is false where a filter's
// bound lies so near that rounding may decide.
std::vector<double> kept_by_definition(const Logits& x, const Sampling& s, bool& safe) {
  const auto order = order_of(x);
  const auto count = s.top_k > 0 ? std::min(x.size(), static_cast<std::size_t>(s.top_k)) : x.size();
  std::vector<double> p(count);
  for (std::size_t i = 0; i < count; ++i)
    p[i] = std::exp((static_cast<double>(x[order[i]]) - static_cast<double>(x[order[0]])) /
                    static_cast<double>(s.temperature));
  const double total = std::accumulate(p.begin(), p.end(), 0.0);
  std::vector<double> kept(x.size(), 0.0);
  double before = 0;
  for (std::size_t i = 0; i < count; ++i) {
    const bool in_top_p = s.top_p >= 1 || before < static_cast<double>(s.top_p) * total || i == 0;
    const bool in_min_p = p[i] >= static_cast<double>(s.min_p) || i == 0;
    if (s.top_p < 1 && i > 0 &&
        std::abs(before - static_cast<double>(s.top_p) * total) < 1e-6 * total)
      safe = false;
    if (p[i] < 1 && std::abs(p[i] - static_cast<double>(s.min_p)) < 1e-6 * p[i]) safe = false;
    if (in_top_p && in_min_p) kept[order[i]] = p[i];
    before += p[i];
  }
  return kept;
}

std::int32_t by_definition(const Logits& x, const Sampling& s, bool& safe) {
  safe = true;
  if (s.temperature < 1e-5f) return static_cast<std::int32_t>(order_of(x)[0]);
  const auto kept = kept_by_definition(x, s, safe);
  const double total = std::accumulate(kept.begin(), kept.end(), 0.0);
  const double target = static_cast<double>(s.uniform) * total;
  double passed = 0;
  std::int32_t last = 0;
  for (std::size_t i = 0; i < kept.size(); ++i) {
    if (kept[i] == 0) continue;
    last = static_cast<std::int32_t>(i);
    passed += kept[i];
    if (std::abs(passed - target) < 1e-6 * total && passed < total) safe = false;
    if (passed > target) break;
  }
  return last;
}

Sampling random_options(std::mt19937& random) {
  const auto pick = [&](std::vector<float> values) { return values[random() % values.size()]; };
  Sampling s;
  s.temperature = pick({0, 0.3f, 0.7f, 1, 1, 2});
  s.top_p = pick({1, 1, 0.999f, 0.9f, 0.5f, 0.01f});
  s.min_p = pick({0, 0, 0.001f, 0.05f, 0.5f, 1});
  s.top_k = static_cast<int>(pick({0, 0, 1, 2, 5, 40, 500, 3000}));
  s.uniform = static_cast<float>(random() >> 8) * 0x1p-24f;
  return s;
}

std::string describe(const Sampling& s) {
  return "temperature " + std::to_string(s.temperature) + " top_p " + std::to_string(s.top_p) +
         " min_p " + std::to_string(s.min_p) + " top_k " + std::to_string(s.top_k) + " uniform " +
         std::to_string(s.uniform);
}

class SamplingTest : public ::testing::TestWithParam<Isa> {
 protected:
  Sampled one(const Logits& x, const Sampling& s) {
    return sample(team_, kernels_of(GetParam()), x.data(), std::ssize(x), {&s, 1})[0];
  }
  std::int32_t token(const Logits& x, const Sampling& s) { return one(x, s).token; }

  Team team_{3};
};

TEST_P(SamplingTest, EqualsTheDefinition) {
  std::mt19937 random(1);
  int compared = 0, wanted = 0;
  for (const std::size_t n : {1, 2, 15, 16, 17, 63, 64, 65, 150, 1000, 1024, 1025, 5000, 40000})
    for (int round = 0; round < 40; ++round, ++wanted) {
      const auto x = round % 4 == 0 ? coarse_logits(n, random)
                                    : random_logits(n, round % 4 == 1 ? 0.2f : 3.0f, random);
      const auto s = random_options(random);
      bool safe;
      const auto expected = by_definition(x, s, safe);
      if (!safe) continue;
      ++compared;
      ASSERT_EQ(token(x, s), expected) << n << " logits, " << describe(s);
    }
  EXPECT_GT(compared, wanted * 9 / 10);
}

TEST_P(SamplingTest, GreedyTakesTheFirstOfEquals) {
  std::mt19937 random(2);
  Sampling greedy;
  greedy.temperature = 0;
  for (const std::size_t n : {1, 3, 16, 100, 4000, 33000}) {
    auto x = random_logits(n, 1, random);
    const auto first = random() % n, second = first + random() % (n - first);
    x[first] = x[second] = 9;
    EXPECT_EQ(token(x, greedy), static_cast<std::int32_t>(first));
  }
  EXPECT_EQ(token({-1, -0.0f, 0.0f, -2}, greedy), 1);
  EXPECT_EQ(token(Logits(20, -5.0f), greedy), 0);
}

// The whole support of the filters on ties, by sweeping `uniform`.
TEST_P(SamplingTest, TiesAtABoundaryKeepTheLowerIndex) {
  const Logits x = {1, 3, 1, 2, 1, 3, 1};  // in order: 1 5 3 0 2 4 6
  const auto support = [&](Sampling s) {
    std::vector<std::int32_t> seen;
    for (int i = 0; i < 1000; ++i) {
      s.uniform = static_cast<float>(i) / 1000;
      const auto t = token(x, s);
      if (seen.empty() || seen.back() != t) seen.push_back(t);
    }
    return seen;  // in order of index, as u grows
  };
  using Tokens = std::vector<std::int32_t>;
  Sampling s;
  s.temperature = 2;
  EXPECT_EQ(support(s), (Tokens{0, 1, 2, 3, 4, 5, 6}));
  s.top_k = 1;
  EXPECT_EQ(support(s), (Tokens{1}));
  s.top_k = 5;
  EXPECT_EQ(support(s), (Tokens{0, 1, 2, 3, 5}));
  s.top_k = 0;
  // Weights 1 1 e^-.5 and four e^-1: 2 / 4.078 = 0.49, 0.64, 0.73, 0.82, 0.91, 1.
  s.top_p = 0.7f;
  EXPECT_EQ(support(s), (Tokens{0, 1, 3, 5}));
  s.top_p = 0.85f;
  EXPECT_EQ(support(s), (Tokens{0, 1, 2, 3, 4, 5}));
  s.top_p = 0.001f;
  EXPECT_EQ(support(s), (Tokens{1}));
  s.top_p = 1;
  s.min_p = 1;
  EXPECT_EQ(support(s), (Tokens{1, 5}));
  s.min_p = 0.5f;
  EXPECT_EQ(support(s), (Tokens{1, 3, 5}));
}

TEST_P(SamplingTest, TheTwoZerosAreEqual) {
  Sampling s;
  s.top_k = 2;
  s.uniform = 0;
  EXPECT_EQ(token({-0.0f, 0.0f, 0.0f, -1}, s), 0);
  s.uniform = 0.75f;
  EXPECT_EQ(token({-0.0f, 0.0f, 0.0f, -1}, s), 1);
}

TEST_P(SamplingTest, ARowIsTheSameAloneInABatchAndOnAnyTeam) {
  std::mt19937 random(3);
  constexpr std::size_t n = 20000, count = 24;
  const auto x = random_logits(n * count, 2, random);
  std::vector<Sampling> rows;
  for (std::size_t i = 0; i < count; ++i) {
    rows.push_back(random_options(random));
    rows.back().top_logprobs = static_cast<int>(random() % 4) - 1;
  }
  const auto& kernels = kernels_of(GetParam());
  const auto together = sample(team_, kernels, x.data(), n, rows);
  Team single(1), many(5);
  for (std::size_t i = 0; i < count; ++i)
    for (Team* team : {&single, &many}) {
      const auto alone = sample(*team, kernels, x.data() + i * n, n, {&rows[i], 1})[0];
      EXPECT_EQ(alone.token, together[i].token);
      EXPECT_EQ(alone.logprob, together[i].logprob);
      ASSERT_EQ(alone.top.size(), together[i].top.size());
      for (std::size_t j = 0; j < alone.top.size(); ++j) {
        EXPECT_EQ(alone.top[j].token, together[i].top[j].token);
        EXPECT_EQ(alone.top[j].logprob, together[i].top[j].logprob);
      }
    }
}

TEST_P(SamplingTest, TheLastNumberBelowOneDrawsALivingToken) {
  std::mt19937 random(4);
  Logits x(50000, -infinity);
  for (std::size_t i = 100; i < 40000; ++i) x[i] = 1e-3f * static_cast<float>(random() % 100);
  Sampling s;
  s.uniform = std::nextafter(1.0f, 0.0f);
  EXPECT_EQ(token(x, s), 39999);
  s.top_p = 0.999999f;
  EXPECT_GT(token(x, s), 39000);
  s.uniform = 0;
  EXPECT_EQ(token(x, s), 100);
}

TEST_P(SamplingTest, DrawsInProportion) {
  const std::vector<double> p = {0.05, 0.5, 0.15, 0.3};
  Logits x;
  for (const double v : p) x.push_back(static_cast<float>(std::log(v)));
  std::vector<int> seen(4, 0);
  constexpr int count = 10000;
  for (int i = 0; i < count; ++i) {
    Sampling s;
    s.uniform = (static_cast<float>(i) + 0.5f) / count;
    ++seen[static_cast<std::size_t>(token(x, s))];
  }
  for (std::size_t i = 0; i < 4; ++i) EXPECT_NEAR(seen[i], p[i] * count, 2);
}

TEST_P(SamplingTest, BiasesAndPenalties) {
  Sampling s;
  s.temperature = 0;
  const std::vector<TokenBias> biases = {{0, 3.0f}, {2, -infinity}};
  s.biases = biases;
  EXPECT_EQ(token({1, 3, 9, 3.5f}, s), 0);
  const std::vector<TokenCount> counts = {{0, 0}, {1, 2}, {2, 1}};
  s = Sampling{};
  s.counts = counts;
  s.top_logprobs = 4;
  const auto edited = [&](const Logits& x) {  // the edited logits, relative to token 3's, untouched
    std::vector<double> logits(x.size());
    const auto result = one(x, s);
    for (const auto& [t, logprob] : result.top) logits[static_cast<std::size_t>(t)] = logprob;
    const double shift = static_cast<double>(x[3]) - logits[3];
    for (auto& v : logits) v += shift;
    return logits;
  };
  const auto near = [](const std::vector<double>& a, const std::vector<double>& b) {
    for (std::size_t i = 0; i < a.size(); ++i) EXPECT_NEAR(a[i], b[i], 1e-5) << i;
  };
  near(edited({1, 2, -3, 4}), {1, 2, -3, 4});
  s.repetition_penalty = 2;
  near(edited({1, 2, -3, 4}), {0.5, 1, -6, 4});
  s.repetition_penalty = 1;
  s.presence_penalty = 0.5f;
  near(edited({1, 2, -3, 4}), {1, 1.5, -3.5, 4});
  s.presence_penalty = 0;
  s.frequency_penalty = -0.25f;
  near(edited({1, 2, -3, 4}), {1, 2.5, -2.75, 4});
}

TEST_P(SamplingTest, TakesOnlyWhatIsAllowed) {
  std::mt19937 random(8);
  int compared = 0;
  for (const std::size_t n : {1, 15, 16, 31, 32, 33, 63, 64, 65, 150, 1023, 1025, 40000})
    for (int round = 0; round < 24; ++round) {
      const auto x = random_logits(n, 3, random);
      // From a single token to almost all; what lies behind the vocabulary must not matter.
      std::vector<std::uint32_t> allowed((n + 31) / 32);
      for (auto& word : allowed)
        word = round % 3 == 0
                   ? 0u
                   : static_cast<std::uint32_t>(round % 3 == 1 ? random() & random() : ~0u);
      const auto one_of_them = random() % n;
      allowed[one_of_them / 32] |= 1u << (one_of_them % 32);
      auto masked = x;
      for (std::size_t i = 0; i < n; ++i)
        if (!((allowed[i / 32] >> (i % 32)) & 1u)) masked[i] = -infinity;
      auto s = random_options(random);
      std::vector<TokenBias> biases;
      if (round % 2) biases = {{static_cast<std::int32_t>(random() % n), 2.0f}};
      for (const auto& [token, bias] : biases) masked[static_cast<std::size_t>(token)] += bias;
      s.biases = biases;
      s.allowed = allowed;
      const auto got = token(x, s);
      ASSERT_TRUE((allowed[static_cast<std::size_t>(got) / 32] >> (got % 32)) & 1u) << n;
      auto plain = s;
      plain.biases = {};
      plain.allowed = {};
      bool safe;
      const auto expected = by_definition(masked, plain, safe);
      if (!safe) continue;
      ++compared;
      EXPECT_EQ(got, expected) << n << " logits, " << describe(s);
    }
  EXPECT_GT(compared, 250);
}

TEST_P(SamplingTest, SoftCapsKeepWhatIsNoNumber) {
  std::mt19937 random(3);
  auto x = random_logits(77, 40, random);
  x[5] = std::numeric_limits<float>::quiet_NaN();
  std::vector<float> out(x.size(), 7.0f);
  kernels_of(GetParam()).sampling.capped(x.data(), 76, 30.0f, out.data());
  for (std::size_t i = 0; i < 76; ++i)
    if (i == 5)
      EXPECT_TRUE(std::isnan(out[i]));
    else
      EXPECT_NEAR(out[i], 30 * std::tanh(static_cast<double>(x[i]) / 30), 1e-5) << x[i];
  EXPECT_EQ(out[76], 7.0f);
}

TEST_P(SamplingTest, LogprobsAreOfTheWholeDistributionAtTemperatureOne) {
  std::mt19937 random(5);
  for (const std::size_t n : {1, 5, 20, 1000, 40000}) {
    auto x = random_logits(n, 2, random);
    if (n > 10) x[7] = -infinity;
    double total = 0;
    for (const float v : x) total += std::exp(static_cast<double>(v));
    const auto logprob = [&](std::int32_t t) {
      return static_cast<double>(x[static_cast<std::size_t>(t)]) - std::log(total);
    };
    const auto order = order_of(x);
    for (const int count : {-1, 0, 1, 20}) {
      Sampling s;
      s.temperature = 0.7f;
      s.top_k = 3;
      s.uniform = 0.9f;
      s.top_logprobs = count;
      const auto result = one(x, s);
      EXPECT_NEAR(result.logprob, count < 0 ? 0 : logprob(result.token), 1e-5);
      std::size_t listed = 0;
      for (const auto& [t, value] : result.top) {
        EXPECT_EQ(static_cast<std::size_t>(t), order[listed++]);
        EXPECT_NEAR(value, logprob(t), 1e-5);
      }
      const auto possible = n == 20 ? 19 : n;  // one is impossible
      EXPECT_EQ(listed, std::min(possible, static_cast<std::size_t>(std::max(0, count))));
    }
  }
}

TEST_P(SamplingTest, LogitsThatAreNotNumbers) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  std::mt19937 random(6);
  for (int round = 0; round < 200; ++round) {
    auto s = random_options(random);
    s.top_logprobs = 2;
    EXPECT_EQ(token(Logits(70, nan), s), 0);
    EXPECT_EQ(token(Logits(70, -infinity), s), 0);
    Logits x(70, -infinity);
    x[66] = 1;
    EXPECT_EQ(token(x, s), 66);
    x[5] = nan;
    EXPECT_EQ(token(x, s), 66);
    x[68] = infinity;
    EXPECT_EQ(token(x, s), 68);
  }
}

// What the filters of real requests do to a vocabulary in full size, against the sort.
TEST_P(SamplingTest, AWholeVocabulary) {
  std::mt19937 random(7);
  for (const float spread : {0.1f, 3.0f}) {
    const auto x = random_logits(151936, spread, random);
    for (int round = 0; round < 12; ++round) {
      const auto s = random_options(random);
      bool safe;
      const auto expected = by_definition(x, s, safe);
      if (safe) {
        EXPECT_EQ(token(x, s), expected) << describe(s);
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Isas, SamplingTest, ::testing::ValuesIn(tested_isas()),
                         [](const auto& info) { return std::string(name_of(info.param)); });

}  // namespace
}  // namespace pippin::cpu
