#include "kernels/gpu/sampling.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <map>
#include <numeric>
#include <random>
#include <vector>

#include "base/sanitized.h"
#include "kernels/gpu/testing.h"
#include "kernels/testing.h"

namespace pippin::kernels::gpu {
namespace {

using pippin::testing::to_vector;
using Logits = std::vector<float>;
using Row = SamplingInput::Row;

constexpr float infinity = std::numeric_limits<float>::infinity();

// The kept tokens' probabilities by id, in doubles, by a full sort; `safe` is false where a bound lies so near that rounding may decide.
std::vector<double> kept_by_definition(const Logits& x, const Row& row, bool& safe) {
  std::vector<std::size_t> order(x.size());
  std::iota(order.begin(), order.end(), 0u);
  std::stable_sort(order.begin(), order.end(), [&](auto a, auto b) { return x[a] > x[b]; });
  const auto count =
      row.top_k > 0 ? std::min(x.size(), static_cast<std::size_t>(row.top_k)) : x.size();
  std::vector<double> p(count), kept(x.size(), 0.0);
  for (std::size_t i = 0; i < count; ++i)
    p[i] = std::exp((static_cast<double>(x[order[i]]) - x[order[0]]) / row.temperature);
  const double wanted = row.top_p * std::accumulate(p.begin(), p.end(), 0.0);
  double before = 0;
  for (std::size_t i = 0; i < count; before += p[i++]) {
    if (row.top_p < 1 && i > 0 && std::abs(before - wanted) < 4e-6 * wanted) safe = false;
    if (p[i] < 1 && std::abs(p[i] - row.min_p) < 1e-5 * p[i]) safe = false;
    if (i == 0 || ((row.top_p >= 1 || before < wanted) && p[i] >= row.min_p)) kept[order[i]] = p[i];
  }
  return kept;
}

std::int32_t by_definition(const Logits& x, const Row& row, bool& safe) {
  safe = true;
  if (row.temperature < 1e-5f)
    return static_cast<std::int32_t>(std::max_element(x.begin(), x.end()) - x.begin());
  const auto kept = kept_by_definition(x, row, safe);
  const double total = std::accumulate(kept.begin(), kept.end(), 0.0), target = row.uniform * total;
  double sum = 0;
  for (std::size_t i = 0; i < kept.size(); ++i) {
    sum += kept[i];
    if (kept[i] > 0 && std::abs(sum - target) < 4e-6 * total) safe = false;
    if (kept[i] > 0 && sum > target) return static_cast<std::int32_t>(i);
  }
  safe = false;
  return -1;
}

std::vector<std::int32_t> sampled(const mx::array& logits, const std::vector<Row>& rows) {
  SamplingInput input(logits.shape(1));
  for (const auto& row : rows) input.add(row);
  auto& executor = testing::tested();
  EXPECT_TRUE(can_sample(&executor, logits));
  auto tokens = sample(executor, logits, arrays_of(input), input.kind());
  tokens.eval();
  return {tokens.data<std::int32_t>(), tokens.data<std::int32_t>() + tokens.size()};
}

mx::array array_of(const Logits& x, int rows, mx::Dtype dtype = mx::float32) {
  return mx::astype(mx::array(x.begin(), {rows, static_cast<int>(x.size()) / rows}, mx::float32),
                    dtype);
}

// Flat, peaked, or with many equal numbers; some are impossible.
Logits random_logits(std::size_t n, std::mt19937& random) {
  std::normal_distribution<float> normal(0, random() % 2 ? 0.5f : 4.0f);
  const bool coarse = random() % 3 == 0;
  Logits x(n);
  for (auto& v : x) v = coarse ? static_cast<float>(random() % 9) - 4.0f : normal(random);
  for (std::size_t i = 0; i < n; i += 1 + random() % 50) x[i] = random() % 2 ? -infinity : -0.0f;
  return x;
}

Row random_row(std::mt19937& random, bool filters) {
  const auto pick = [&](std::vector<float> values) { return values[random() % values.size()]; };
  Row row{pick({0, 1e-6f, 1e-4f, 0.3f, 0.7f, 1, 1, 5})};
  row.uniform = static_cast<float>(random() >> 8) * 0x1p-24f;
  if (!filters) return row;
  row.top_k = static_cast<int>(pick({0, 0, 1, 5, 40, 500, 1e6f}));
  row.top_p = pick({1, 1, 0.95f, 0.5f, 1e-12f, 0.9999f});
  row.min_p = pick({0, 0, 0, 0.05f, 0.5f, 1});
  return row;
}

class SampleTest : public ::testing::TestWithParam<mx::Dtype> {};

TEST_P(SampleTest, EqualsTheDefinition) {
  std::mt19937 random(3);
  int compared = 0, all = 0;
  for (const int width : {8, 33, 300, 4096, rounds(4097, 300), rounds(9001, 33)})
    for (const bool filters : {false, true}) {
      const int count = width > 4000 ? 4 : 12;
      Logits all_logits;
      std::vector<Row> rows;
      for (int i = 0; i < count; ++i) {
        const auto x = random_logits(static_cast<std::size_t>(width), random);
        all_logits.insert(all_logits.end(), x.begin(), x.end());
        rows.push_back(random_row(random, filters));
      }
      const auto logits = array_of(all_logits, count, GetParam());
      const auto rounded = to_vector(logits);
      const auto got = sampled(logits, rows);
      for (int i = 0; i < count; ++i, ++all) {
        const auto begin = rounded.begin() + std::ptrdiff_t{i} * width;
        bool safe;
        const auto& row = rows[static_cast<std::size_t>(i)];
        const auto wanted = by_definition({begin, begin + width}, row, safe);
        if (!safe) continue;
        ++compared;
        EXPECT_EQ(got[static_cast<std::size_t>(i)], wanted)
            << width << " temperature " << row.temperature << " top_k " << row.top_k << " top_p "
            << row.top_p << " min_p " << row.min_p << " uniform " << row.uniform;
      }
    }
  EXPECT_GT(compared, all * 3 / 4);
}

INSTANTIATE_TEST_SUITE_P(Types, SampleTest,
                         ::testing::Values(mx::float32, mx::bfloat16, mx::float16));

TEST(Sample, ARowIsTheSameAloneAndAmongOthers) {
  std::mt19937 random(4);
  constexpr int width = 5000, count = rounds(6, 3);
  Logits x;
  std::vector<Row> rows;
  for (int i = 0; i < count; ++i) {
    const auto some = random_logits(width, random);
    x.insert(x.end(), some.begin(), some.end());
    rows.push_back(random_row(random, i % 2 == 0));
  }
  const auto logits = array_of(x, count, mx::bfloat16);
  const auto together = sampled(logits, rows);
  for (int i = 0; i < count; ++i)
    EXPECT_EQ(sampled(mx::contiguous(mx::slice(logits, {i, 0}, {i + 1, width})),
                      {rows[static_cast<std::size_t>(i)]})
                  .front(),
              together[static_cast<std::size_t>(i)]);
}

// Which of equal tokens stay is defined to the last one, across parts, too.
TEST(Sample, CutsBetweenEqualTokens) {
  constexpr int width = 9001;
  Logits x(width, 1.0f);
  x[8000] = 2;
  const auto last = [&](int top_k, float top_p) {
    return sampled(array_of(x, 1),
                   {{.temperature = 1, .top_k = top_k, .top_p = top_p, .uniform = 1 - 0x1p-24f}})
        .front();
  };
  EXPECT_EQ(last(0, 1), width - 1);
  EXPECT_EQ(last(5001, 1), 8000) << "the likeliest, and the first 5,000 others";
  x[8000] = 1;
  EXPECT_EQ(last(5000, 1), 4999);
  EXPECT_EQ(last(0, 0.5f), 4500);
  EXPECT_EQ(last(5000, 0.5f), 2499);
  EXPECT_EQ(last(1, 0.5f), 0);
  EXPECT_EQ(last(width, 1), width - 1);
  EXPECT_EQ(last(0, 1e-20f), 0);
}

// A row of more parts than the groups of any launch look at together.
TEST(Sample, SumsAllParts) {
  constexpr int width = rounds(300001, 140001);
  Logits x(width, 1.0f);
  const auto token = [&](Row row) {
    row.uniform = 1 - 0x1p-24f;
    return sampled(array_of(x, 1, mx::bfloat16), {row}).front();
  };
  EXPECT_EQ(token({.temperature = 1}), width - 1);
  EXPECT_EQ(token({.temperature = 1, .top_p = 0.5f}), width / 2);
  EXPECT_EQ(token({.temperature = 1, .top_k = 135000}), 134999);
  x.back() = 40;
  EXPECT_EQ(token({.temperature = 1, .top_p = 0.9f}), width - 1);
}

TEST(Sample, TakesWhatThereIsOfOddRows) {
  Logits x(40, -infinity);
  const Row row{.temperature = 1, .top_p = 0.9f, .uniform = 0.7f};
  EXPECT_EQ(sampled(array_of(x, 1), {row}).front(), 0) << "nothing is possible";
  x[13] = -1e30f;
  EXPECT_EQ(sampled(array_of(x, 1), {row}).front(), 13);
  x[3] = std::numeric_limits<float>::quiet_NaN();
  EXPECT_EQ(sampled(array_of(x, 1), {row}).front(), 13);
  x[13] = x[3];
  x[20] = infinity;
  EXPECT_EQ(sampled(array_of(x, 1), {row}).front(), 20);
  std::fill(x.begin(), x.end(), x[3]);
  EXPECT_EQ(sampled(array_of(x, 1), {row}).front(), 0) << "no number at all";
}

TEST_P(SampleTest, SeesEditsAndMasks) {
  std::mt19937 random(5);
  constexpr int width = 4200, count = rounds(8, 4);
  const std::size_t words = (width + 31) / 32;
  Logits x;
  for (int i = 0; i < count; ++i) {
    const auto some = random_logits(width, random);
    x.insert(x.end(), some.begin(), some.end());
  }
  const auto logits = array_of(x, count, GetParam());
  auto edited = to_vector(logits);
  std::vector<Row> rows;
  std::vector<std::vector<std::uint32_t>> masks(count, std::vector<std::uint32_t>(words));
  for (int i = 0; i < count; ++i) {
    const auto at = static_cast<std::size_t>(i);
    float* mine = edited.data() + at * width;
    rows.push_back(random_row(random, true));
    if (i % 4 < 2)
      for (std::int32_t token = 0; token < width; token += 1 + static_cast<int>(random() % 200)) {
        const LogitEdit edit{token, random() % 5 ? 1.5f : -infinity, 1.3f,
                             static_cast<float>(random() % 2)};
        rows.back().edits.push_back(edit);
        mine[token] += edit.bias;
        mine[token] =
            (mine[token] > 0 ? mine[token] / edit.factor : mine[token] * edit.factor) - edit.less;
      }
    if (i % 2 == 0) continue;
    for (auto& word : masks[at]) word = static_cast<std::uint32_t>(random() & random());
    if (i == 3) std::fill(masks[at].begin(), masks[at].end(), 0u);
    masks[at][131] |= 2;  // one at least
    rows.back().allowed = masks[at].data();
    for (std::size_t token = 0; token < width; ++token)
      if (!(masks[at][token / 32] >> (token % 32) & 1u)) mine[token] = -infinity;
  }
  int compared = 0;
  const auto got = sampled(logits, rows);
  for (int i = 0; i < count; ++i) {
    const auto* mine = edited.data() + std::ptrdiff_t{i} * width;
    bool safe;
    const auto at = static_cast<std::size_t>(i);
    const auto wanted = by_definition({mine, mine + width}, rows[at], safe);
    if (!safe) continue;
    ++compared;
    EXPECT_EQ(got[at], wanted) << i;
  }
  EXPECT_GT(compared, count / 2);
}

}  // namespace
}  // namespace pippin::kernels::gpu
