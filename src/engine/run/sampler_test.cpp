#include "engine/run/sampler.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <map>
#include <memory>
#include <numeric>
#include <random>
#include <string>
#include <utility>

#include "kernels/emulated/emulation.h"
#include "kernels/gpu/kernel.h"
#include "kernels/testing.h"

namespace pippin::engine {
namespace {

namespace gpu = kernels::gpu;

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
  std::vector<double> by_id(V, 0.0);
  for (std::size_t i = 0; i < V; ++i) by_id[order[i]] = kept[i];
  const double target = row.uniform * std::accumulate(kept.begin(), kept.end(), 0.0);
  double cumulative = 0;
  std::size_t choice = 0;
  for (std::size_t i = 0; i < V; ++i) {
    if (by_id[i] > 0) choice = i;
    cumulative += by_id[i];
    if (std::abs(cumulative - target) < 1e-5) safe = false;
    if (cumulative > target) break;
  }
  return static_cast<std::int32_t>(choice);
}

void add_edits(SampleRow& row, std::mt19937& random) {
  row.options.presence_penalty = 0.5f;
  row.options.frequency_penalty = -0.3f;
  row.options.repetition_penalty = 1.3f;
  for (std::int32_t token = 0; token < 150; token += 1 + static_cast<std::int32_t>(random() % 20)) {
    if (random() % 2) row.counts.push_back({token, static_cast<std::int32_t>(random() % 4)});
    if (random() % 2) row.options.logit_bias.push_back({token, 2.5f});
  }
}

std::vector<SampleRow> random_rows(int count, std::mt19937& random, bool with_edits = false) {
  const auto pick = [&](std::vector<float> values) { return values[random() % values.size()]; };
  std::vector<SampleRow> rows;
  for (int i = 0; i < count; ++i) {
    SampleRow row;
    row.options.temperature = pick({0, 0.3f, 1, 1, 2});
    row.options.top_p = pick({1, 1, 0.9f, 0.5f, 0.01f});
    row.options.top_k = static_cast<int>(pick({0, 0, 1, 5, 40, 500}));
    row.options.min_p = pick({0, 0, 0.05f, 0.5f, 1});
    row.uniform = uniform_of(random(), i);
    if (with_edits && i % 2 == 0) add_edits(row, random);
    rows.push_back(row);
  }
  return rows;
}

std::unique_ptr<gpu::Executor> own_kernels() {
  return mx::default_device() == mx::Device::gpu ? gpu::cuda_executor() : gpu::emulated_executor();
}

// With MLX's operations, by our kernels for GPUs and on the CPU's threads.
enum class Path { mlx, kernels, host };
class SamplerTest : public ::testing::TestWithParam<Path> {
 protected:
  Sampled sampled(const mx::array& logits, const std::vector<SampleRow>& rows) {
    const gpu::UseExecutor use(GetParam() == Path::kernels ? own_kernels() : nullptr);
    return sample(logits, rows, GetParam() == Path::host ? backend_ : nullptr);
  }
  std::vector<std::int32_t> tokens(const mx::array& logits, const std::vector<SampleRow>& rows) {
    return tokens_of(sampled(logits, rows).tokens);
  }

  kernels::CpuBackendPtr backend_ =
      std::make_shared<kernels::CpuBackend>(kernels::CpuOptions{.threads = 2});
};

std::string name_of(const ::testing::TestParamInfo<Path>& info) {
  constexpr const char* names[] = {"mlx", "kernels", "host"};
  return names[static_cast<int>(info.param)];
}

INSTANTIATE_TEST_SUITE_P(Paths, SamplerTest,
                         ::testing::Values(Path::mlx, Path::kernels, Path::host), name_of);

TEST_P(SamplerTest, EqualsTheDefinition) {
  std::mt19937 random(3);
  int compared = 0;
  for (int round = 0; round < 20; ++round) {
    const auto rows = random_rows(16, random);
    const auto logits =
        random_array({16, 150}, 100 + static_cast<std::uint64_t>(round)) * mx::array(3.0f);
    const auto got = tokens(logits, rows);
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

TEST_P(SamplerTest, ARowIsTheSameAloneAndInABatch) {
  std::mt19937 random(4);
  const auto rows = random_rows(32, random);
  const auto logits = random_array({32, 150}, 5) * mx::array(3.0f);
  const auto together = tokens(logits, rows);
  for (int i = 0; i < 32; ++i)
    EXPECT_EQ(tokens(mx::slice(logits, {i, 0}, {i + 1, 150}), {rows[static_cast<std::size_t>(i)]})
                  .front(),
              together[static_cast<std::size_t>(i)]);
}

TEST_P(SamplerTest, ATinyTemperatureIsGreedy) {
  const auto logits = random_array({1, 150}, 6);
  SampleRow row;
  row.options.temperature = 0;
  const auto best = tokens(logits, {row});
  for (const float temperature : {1e-45f, 1e-38f, 1e-20f, 1e-6f, 1e-4f}) {
    row.options.temperature = temperature;
    row.uniform = 0.999f;
    EXPECT_EQ(tokens(logits, {row}), best) << temperature;
  }
}

TEST_P(SamplerTest, DrawsInProportion) {
  const std::vector<float> probabilities = {0.5f, 0.3f, 0.15f, 0.05f};
  std::vector<float> logits;
  for (const float p : probabilities) logits.push_back(std::log(p));
  constexpr int count = 4000;
  const auto row = mx::array(logits.begin(), {1, 4}, mx::float32);
  std::vector<SampleRow> rows;
  for (int i = 0; i < count; ++i) rows.push_back({SamplingOptions{}, uniform_of(42, i)});
  std::map<int, int> seen;
  for (const auto token : tokens(mx::repeat(row, count, 0), rows)) ++seen[token];
  // Five standard deviations of a binomial count.
  for (int i = 0; i < 4; ++i) {
    const double p = probabilities[static_cast<std::size_t>(i)];
    EXPECT_NEAR(seen[i], count * p, 5 * std::sqrt(count * p * (1 - p)));
  }
}

// Equal logits around every bound: which of them stay is defined, too.
TEST_P(SamplerTest, OfEqualTokensTheLowerIdsStay) {
  const std::vector<float> values = {1, 3, 1, 2, 1, 3, 1};  // in order: 1 5 3 0 2 4 6
  const auto support = [&](const SamplingOptions& options) {
    constexpr int count = 500;
    std::vector<SampleRow> rows;
    for (int i = 0; i < count; ++i) rows.push_back({options, static_cast<float>(i) / count});
    const auto row = mx::array(values.begin(), {1, 7}, mx::float32);
    auto seen = tokens(mx::repeat(row, count, 0), rows);
    EXPECT_TRUE(std::is_sorted(seen.begin(), seen.end()));
    seen.erase(std::unique(seen.begin(), seen.end()), seen.end());
    return seen;
  };
  using Ids = std::vector<std::int32_t>;
  SamplingOptions options;
  options.temperature = 2;
  EXPECT_EQ(support(options), (Ids{0, 1, 2, 3, 4, 5, 6}));
  options.top_k = 5;
  EXPECT_EQ(support(options), (Ids{0, 1, 2, 3, 5}));
  options.top_p = 0.5f;  // of weights 1 1 e^-.5 e^-1 e^-1: 0.30, 0.60
  EXPECT_EQ(support(options), (Ids{1, 5}));
  options = {};
  options.temperature = 2;
  options.top_p = 0.85f;  // 0.25, 0.49, 0.64, 0.73, 0.82, 0.91, 1
  EXPECT_EQ(support(options), (Ids{0, 1, 2, 3, 4, 5}));
  options.top_p = 1;
  options.min_p = 1;
  EXPECT_EQ(support(options), (Ids{1, 5}));
}

TEST_P(SamplerTest, BiasesAndPenaltiesChangeTheLogits) {
  const auto x = mx::array({1.0f, 2.0f, -1.0f, 1.9f, -2.0f}, {1, 5});
  const auto best = [&](const SampleRow& row) { return tokens(x, {row}).front(); };
  SampleRow row;
  row.options.temperature = 0;
  EXPECT_EQ(best(row), 1);
  row.options.logit_bias = {{4, 5.0f}, {1, 0.5f}};
  EXPECT_EQ(best(row), 4);
  row.options.logit_bias = {{1, -100.0f}};
  EXPECT_EQ(best(row), 3);
  row.options.logit_bias = {};
  row.counts = {{1, 2}, {0, 0}};
  row.options.presence_penalty = 0.05f;
  EXPECT_EQ(best(row), 1);
  row.options.frequency_penalty = 0.05f;  // 2 - 0.05 - 2 * 0.05
  EXPECT_EQ(best(row), 3);
  row.options.frequency_penalty = -0.05f;
  EXPECT_EQ(best(row), 1);
  row.options.presence_penalty = row.options.frequency_penalty = 0;
  row.options.repetition_penalty = 0.5f;
  row.counts = {{0, 0}, {4, 1}};  // 2 and -1: a tie with token 1, which is later
  EXPECT_EQ(best(row), 0);
  row.options.repetition_penalty = 2;
  row.counts = {{1, 0}, {3, 0}, {0, 0}};  // 1, 0.95, 0.5
  EXPECT_EQ(best(row), 1);
  row.options.logit_bias = {{3, 0.2f}};  // before the division: 2.1 / 2
  EXPECT_EQ(best(row), 3);
}

// The definition, in doubles: of the edited logits, not of what temperature and filters make of them.
std::vector<double> log_softmax(std::vector<float> logits, const SampleRow& row) {
  for (const auto& [token, bias] : row.options.logit_bias)
    logits[static_cast<std::size_t>(token)] += bias;
  for (const auto& [token, generated] : row.counts) {
    auto& x = logits[static_cast<std::size_t>(token)];
    x = x > 0 ? x / row.options.repetition_penalty : x * row.options.repetition_penalty;
    if (generated > 0)
      x -= row.options.presence_penalty +
           row.options.frequency_penalty * static_cast<float>(generated);
  }
  double total = 0;
  for (const float x : logits) total += std::exp(static_cast<double>(x));
  std::vector<double> result;
  for (const float x : logits) result.push_back(static_cast<double>(x) - std::log(total));
  return result;
}

TEST_P(SamplerTest, TellsLogProbabilities) {
  constexpr int R = 12, V = 300;
  std::mt19937 random(17);
  auto rows = random_rows(R, random, true);
  for (std::size_t i = 0; i < R; ++i)
    rows[i].options.top_logprobs = static_cast<int>(i % 4 * 5) - 1;
  rows[1].options.logit_bias = {{3, -std::numeric_limits<float>::infinity()}};
  const auto logits = random_array({R, V}, 55) * mx::array(3.0f);
  const auto sampled = this->sampled(logits, rows);
  mx::eval(sampled.arrays());
  const auto told = read_logprobs(sampled, rows);
  const auto values = to_vector(logits);
  ASSERT_EQ(told.size(), rows.size());
  for (std::size_t i = 0; i < R; ++i) {
    const int count = rows[i].options.top_logprobs;
    ASSERT_EQ(told[i] != nullptr, count >= 0) << i;
    if (count < 0) continue;
    const auto begin = values.begin() + static_cast<std::ptrdiff_t>(i * V);
    const auto wanted = log_softmax({begin, begin + V}, rows[i]);
    EXPECT_EQ(told[i]->token, sampled.tokens.data<std::int32_t>()[i]);
    EXPECT_NEAR(told[i]->logprob, wanted[static_cast<std::size_t>(told[i]->token)], 1e-4);
    ASSERT_EQ(told[i]->top.size(), static_cast<std::size_t>(count));
    auto order = wanted;
    std::sort(order.begin(), order.end(), std::greater<>());
    for (std::size_t k = 0; k < told[i]->top.size(); ++k) {
      const auto& other = told[i]->top[k];
      EXPECT_NEAR(other.logprob, order[k], 1e-4);
      EXPECT_NEAR(other.logprob, wanted[static_cast<std::size_t>(other.token)], 1e-4);
    }
  }
}

TEST_P(SamplerTest, WithoutWishesTellsNothing) {
  const auto logits = random_array({2, 50}, 5);
  const std::vector<SampleRow> rows(2);
  EXPECT_TRUE(read_logprobs(sampled(logits, rows), rows).empty());
}

TEST_P(SamplerTest, LeavesOutWhatIsImpossible) {
  const float never = -std::numeric_limits<float>::infinity();
  const std::vector<float> values = {never, 1, never, 2};
  std::vector<SampleRow> rows(1);
  rows[0].options.temperature = 0;
  rows[0].options.top_logprobs = 4;
  const auto sampled = this->sampled(mx::array(values.begin(), {1, 4}, mx::float32), rows);
  mx::eval(sampled.arrays());
  const auto told = read_logprobs(sampled, rows);
  ASSERT_EQ(told.at(0)->top.size(), 2u);
  EXPECT_EQ(told[0]->top[0].token, 3);
  EXPECT_EQ(told[0]->top[1].token, 1);
}

TEST_P(SamplerTest, NeverTakesWhatIsForbidden) {
  std::vector<SampleRow> rows(64);
  for (std::size_t i = 0; i < rows.size(); ++i) {
    rows[i].options.logit_bias = {{2, 100}};
    rows[i].uniform = uniform_of(3, static_cast<std::int64_t>(i));
    forbid({2, 0}, rows[i].options);
  }
  for (const auto token : tokens(random_array({64, 4}, 9), rows)) {
    EXPECT_NE(token, 2);
    EXPECT_NE(token, 0);
  }
}

TEST_P(SamplerTest, TakesOnlyWhatIsAllowed) {
  std::mt19937 random(9);
  int compared = 0;
  for (std::uint64_t round = 0; round < 10; ++round) {
    auto rows = random_rows(16, random);
    std::vector<std::vector<std::uint32_t>> masks(rows.size(), std::vector<std::uint32_t>(5));
    const auto logits = random_array({16, 150}, 300 + round) * mx::array(3.0f);
    const auto values = to_vector(logits);
    for (std::size_t i = 0; i < rows.size(); ++i) {
      if (i % 4 == 3) continue;  // may take any
      for (auto& word : masks[i])
        word = static_cast<std::uint32_t>(i % 4 ? random() & random() : 0);
      const auto token = random() % 150;
      masks[i][token / 32] |= 1u << (token % 32);
      rows[i].allowed = masks[i];
    }
    const auto got = tokens(logits, rows);
    for (std::size_t i = 0; i < rows.size(); ++i) {
      std::vector<float> masked(values.begin() + static_cast<std::ptrdiff_t>(i * 150),
                                values.begin() + static_cast<std::ptrdiff_t>((i + 1) * 150));
      for (std::size_t token = 0; token < 150 && !rows[i].allowed.empty(); ++token)
        if (!((rows[i].allowed[token / 32] >> (token % 32)) & 1u))
          masked[token] = -std::numeric_limits<float>::infinity();
      EXPECT_TRUE(std::isfinite(masked[static_cast<std::size_t>(got[i])])) << "row " << i;
      bool safe;
      const auto wanted = naive(masked, rows[i], safe);
      if (!safe) continue;
      EXPECT_EQ(got[i], wanted) << "row " << i;
      ++compared;
    }
  }
  EXPECT_GT(compared, 120);
}

TEST_P(SamplerTest, EscapesWhereItWouldFreely) {
  const auto logits = mx::array({1.0f, 3.0f, 2.0f, 3.0f, 1.0f, 2.0f}, {2, 3});
  const std::vector<std::uint32_t> last_alone = {0b100};
  SampleRow row;
  row.options.temperature = 0;
  row.allowed = last_alone;
  EXPECT_EQ(tokens(logits, {row, row}), (std::vector{2, 2}));
  row.escape = 1;
  EXPECT_EQ(tokens(logits, {row, row}), (std::vector{1, 2}));
  row.escape = 0;
  EXPECT_EQ(tokens(logits, {row, row}), (std::vector{2, 0}));
  auto held = row, free = row;
  held.escape = -1;
  free.allowed = {};
  free.escape = -1;
  EXPECT_EQ(tokens(logits, {held, row}), (std::vector{2, 0}));
  EXPECT_EQ(tokens(logits, {free, row}), (std::vector{1, 0}));
}

TEST(Sampler, CountsThePromptForRepetitionsAlone) {
  const auto sorted = [](const SamplingOptions& options) {
    std::map<std::int32_t, std::int32_t> counts;
    for (const auto& [token, generated] : count_tokens(options, {7, 8, 7, 9, 8, 9}, 3))
      EXPECT_TRUE(counts.emplace(token, generated).second);
    return counts;
  };
  using Counts = std::map<std::int32_t, std::int32_t>;
  SamplingOptions options;
  EXPECT_EQ(sorted(options), Counts());
  options.presence_penalty = 1;
  EXPECT_EQ(sorted(options), (Counts{{8, 1}, {9, 2}}));
  options.repetition_penalty = 1.1f;
  EXPECT_EQ(sorted(options), (Counts{{7, 0}, {8, 1}, {9, 2}}));
}

TEST(Sampler, AllPathsTakeTheSameTokens) {
  std::mt19937 random(8);
  const auto backend = std::make_shared<kernels::CpuBackend>(kernels::CpuOptions{.threads = 2});
  int differing = 0;
  for (std::uint64_t round = 0; round < 4; ++round) {
    const auto rows = random_rows(32, random, true);
    const auto logits = random_array({32, 5000}, 200 + round) * mx::array(4.0f);
    const auto by = [&](std::unique_ptr<gpu::Executor> kernels) {
      const gpu::UseExecutor use(std::move(kernels));
      return tokens_of(sample(logits, rows).tokens);
    };
    const auto by_mlx = by(nullptr), by_kernels = by(own_kernels()),
               by_host = tokens_of(sample(logits, rows, backend).tokens);
    for (std::size_t i = 0; i < rows.size(); ++i)
      differing += by_mlx[i] != by_host[i] || by_kernels[i] != by_host[i];
  }
  // A sum in float32 may fall on the other side of a bound, rarely.
  EXPECT_LE(differing, 1);
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
