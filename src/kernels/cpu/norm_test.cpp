#include "kernels/cpu/norm.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <random>
#include <string>
#include <vector>

#include "kernels/cpu/isas_testing.h"

namespace pippin::cpu {
namespace {

using Vector = std::vector<float>;

Vector random_vector(std::int64_t size, float mean, std::mt19937& random) {
  std::normal_distribution<float> normal(mean);
  Vector x(static_cast<std::size_t>(size));
  for (auto& v : x) v = normal(random);
  return x;
}

struct Case {
  std::int64_t rows;
  int width;
  bool centred;  // a layer norm
  bool add, weight, bias;
  float mean;
  bool residual = false;  ///< joins, and the sum is multiplied by 0.75
};

struct Data {
  Vector x, add, weight, bias, residual;
  explicit Data(const Case& c, std::mt19937& random)
      : x(random_vector(c.rows * c.width, c.mean, random)),
        add(random_vector(c.add ? c.rows * c.width : 0, 0, random)),
        weight(random_vector(c.weight ? c.width : 0, 1, random)),
        bias(random_vector(c.bias ? c.width : 0, 0, random)),
        residual(random_vector(c.residual ? c.rows * c.width : 0, 0, random)) {}
};

const float* data_or_null(const Vector& x) { return x.empty() ? nullptr : x.data(); }

constexpr float eps = 1e-6f;

Norm norm_of(const Data& data, const Case& c, float* sum, float* out) {
  return {data.x.data(),
          data_or_null(data.add),
          sum,
          out,
          data_or_null(data.weight),
          data_or_null(data.bias),
          c.width,
          eps,
          data_or_null(data.residual),
          c.residual ? 0.75f : 1.0f};
}

void run(const Case& c, Team& team, Isa isa, const Norm& norm) {
  if (c.centred)
    layer_norm(team, kernels_of(isa), norm, c.rows);
  else
    rms_norm(team, kernels_of(isa), norm, c.rows);
}

// The definition, in doubles, for one row h.
std::vector<double> naive(const Case& c, const Data& data, const float* h) {
  const auto width = static_cast<std::size_t>(c.width);
  double mean = 0, squares = 0;
  for (std::size_t i = 0; i < width; ++i) mean += h[i] / static_cast<double>(c.width);
  if (!c.centred) mean = 0;
  for (std::size_t i = 0; i < width; ++i) squares += (h[i] - mean) * (h[i] - mean);
  const double scale = 1 / std::sqrt(squares / c.width + static_cast<double>(eps));
  std::vector<double> out;
  for (std::size_t i = 0; i < width; ++i) {
    const double value = (h[i] - mean) * scale * (c.weight ? data.weight[i] : 1.0f);
    out.push_back(value + (c.bias ? data.bias[i] : 0.0f));
  }
  return out;
}

std::vector<Case> random_cases() {
  std::mt19937 random(1);
  std::vector<Case> cases;
  for (const int width : {1, 2, 15, 16, 17, 63, 64, 65, 100, 128, 1000, 1024, 2560})
    for (const std::int64_t rows : {0, 1, 2, 7, 130}) {
      const auto coin = [&] { return random() % 2 == 0; };
      cases.push_back({rows, width, coin(), coin(), coin(), coin(), coin() ? 0.0f : 30.0f, coin()});
    }
  return cases;
}

class NormTest : public ::testing::TestWithParam<Isa> {};

TEST_P(NormTest, EqualsTheDefinition) {
  std::mt19937 random(2);
  Team team(3);
  for (const auto& c : random_cases()) {
    SCOPED_TRACE("rows " + std::to_string(c.rows) + " width " + std::to_string(c.width) +
                 (c.centred ? " layer" : " rms"));
    const Data data(c, random);
    Vector sum(data.add.size()), out(data.x.size());
    run(c, team, GetParam(), norm_of(data, c, sum.data(), out.data()));
    for (std::size_t i = 0; i < sum.size(); ++i) ASSERT_EQ(sum[i], data.x[i] + data.add[i]);
    const Vector& h = c.add ? sum : data.x;
    for (std::int64_t row = 0; row < c.rows; ++row) {
      const auto expected = naive(c, data, h.data() + row * c.width);
      for (int i = 0; i < c.width; ++i) {
        double wanted = expected[static_cast<std::size_t>(i)];
        if (c.residual)
          wanted = (data.residual[static_cast<std::size_t>(row * c.width + i)] + wanted) * 0.75;
        // A mean of 30 leaves differences from it with 30 / 2^24 of error.
        const double tolerance = 2e-6 * std::abs(wanted) + (c.mean > 0 ? 2e-4 : 2e-6);
        ASSERT_NEAR(out[static_cast<std::size_t>(row * c.width + i)], wanted, tolerance)
            << "row " << row << " column " << i;
      }
    }
  }
}

TEST_P(NormTest, ALargeMeanDoesNotDrownTheVariance) {
  const Case c{1, 512, true, false, false, false, 0};
  Vector x(512), out(512);
  for (std::size_t i = 0; i < x.size(); ++i) x[i] = 4096.0f + (i % 2 ? 1.0f : -1.0f);
  Team team(1);
  run(c, team, GetParam(), {x.data(), nullptr, nullptr, out.data(), nullptr, nullptr, 512, eps});
  for (std::size_t i = 0; i < x.size(); ++i) ASSERT_NEAR(out[i], i % 2 ? 1 : -1, 1e-5);
}

TEST_P(NormTest, ZerosStayZero) {
  for (const bool centred : {false, true}) {
    const Case c{3, 40, centred, false, false, false, 0};
    const Vector x(120, 0.0f);
    Vector out(120, 1.0f);
    Team team(1);
    run(c, team, GetParam(), {x.data(), nullptr, nullptr, out.data(), nullptr, nullptr, 40, eps});
    EXPECT_EQ(out, x);
  }
}

// A row has the same bits alone, among others and on any number of threads, and nothing is written
// beside the rows.
TEST_P(NormTest, ARowIsTheSameAloneAndInABatch) {
  std::mt19937 random(3);
  for (const bool centred : {false, true}) {
    const Case c{200, 333, centred, true, true, true, 1}, one{1, 333, centred, true, true, true, 1};
    const Data data(c, random);
    Team many(4), single(1);
    Vector sum(data.x.size()), out(data.x.size());
    run(c, many, GetParam(), norm_of(data, c, sum.data(), out.data()));
    for (std::int64_t row = 0; row < c.rows; ++row) {
      const auto at = static_cast<std::size_t>(row * c.width);
      Vector sum_alone(333 + 16, -7.0f), alone(333 + 16, -7.0f);
      Norm norm = norm_of(data, one, sum_alone.data(), alone.data());
      norm.x += at;
      norm.add += at;
      run(one, single, GetParam(), norm);
      for (std::size_t i = 0; i < 333; ++i) {
        ASSERT_EQ(alone[i], out[at + i]);
        ASSERT_EQ(sum_alone[i], sum[at + i]);
      }
      for (std::size_t i = 333; i < alone.size(); ++i)
        ASSERT_TRUE(alone[i] == -7.0f && sum_alone[i] == -7.0f);
    }
  }
}

TEST_P(NormTest, WorksInPlace) {
  std::mt19937 random(4);
  for (const bool centred : {false, true}) {
    const Case c{9, 77, centred, true, true, true, 0};
    const Data data(c, random);
    Team team(2);
    Vector sum(data.x.size()), out(data.x.size());
    run(c, team, GetParam(), norm_of(data, c, sum.data(), out.data()));
    // h over x and the result over the branch: how a transformer's layer runs.
    Vector h = data.x, branch = data.add;
    run(c, team, GetParam(),
        {h.data(), branch.data(), h.data(), branch.data(), data.weight.data(), data.bias.data(),
         c.width, eps});
    EXPECT_EQ(h, sum);
    EXPECT_EQ(branch, out);
    // Without a branch, over x itself.
    Vector x = data.x;
    Norm norm = norm_of(data, c, nullptr, out.data());
    norm.add = nullptr;
    run(c, team, GetParam(), norm);
    norm.x = x.data();
    norm.out = x.data();
    run(c, team, GetParam(), norm);
    EXPECT_EQ(x, out);
  }
}

INSTANTIATE_TEST_SUITE_P(Isas, NormTest, ::testing::ValuesIn(tested_isas()),
                         [](const auto& info) { return std::string(name_of(info.param)); });

}  // namespace
}  // namespace pippin::cpu
