#include "kernels/cpu/experts.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <cstring>
#include <random>

#include "kernels/cpu/testing.h"

namespace pippin::cpu {
namespace {

// Five experts of plain matrices: K = 21 inputs, N = 37 wide; no number divides another.
constexpr int num_experts = 5, k = 21, n = 37, top_k = 2;

struct Bank {
  std::vector<std::vector<float>> values;
  PackedBank packed;

  Bank(int outputs, int inputs, Team& team, Arena& arena, std::mt19937& random) {
    for (int e = 0; e < num_experts; ++e) {
      values.push_back(random_floats(static_cast<std::size_t>(outputs * inputs), random));
      packed.emplace_back(team, arena,
                          DenseSource{values.back().data(), outputs, inputs, Format::f32});
    }
  }

  // The same cut to bf16, and stored so.
  void store_in_bf16(int outputs, int inputs, Team& team, Arena& arena) {
    packed.clear();
    for (auto& matrix : values) {
      std::vector<std::uint16_t> halves;
      for (auto& x : matrix) {
        halves.push_back(static_cast<std::uint16_t>(std::bit_cast<std::uint32_t>(x) >> 16));
        x = std::bit_cast<float>(std::uint32_t{halves.back()} << 16);
      }
      packed.emplace_back(team, arena, DenseSource{halves.data(), outputs, inputs, Format::bf16});
    }
  }
};

class ExpertsTest : public ::testing::TestWithParam<Isa> {
 protected:
  std::vector<float> run(const std::vector<float>& x, const std::vector<std::int32_t>& chosen,
                         const std::vector<float>& weights, const float* residual = nullptr) {
    std::vector<float> out(x.size(), NAN);
    experts(
        team_, kernels_of(GetParam()), scratch_,
        {x.data(), static_cast<int>(x.size()) / k, chosen.data(), weights.data(), top_k,
         gate_.packed, gated_ ? &up_.packed : nullptr, down_.packed, gate_bias_.data(),
         up_bias_.data(), down_bias_.data(), Activation::relu_squared, true, residual, out.data()});
    return out;
  }

  static double dot(const float* w, const double* x, int count) {
    double sum = 0;
    for (int i = 0; i < count; ++i) sum += static_cast<double>(w[i]) * x[i];
    return sum;
  }

  void expect_the_reference();

  // A sum, and that of its terms' magnitudes: its rounding goes by the terms, which may cancel out.
  struct Sum {
    double value, magnitude;

    void add(double term) {
      value += term;
      magnitude += std::abs(term);
    }
  };

  // Adds `weight` times one expert's output for x [K].
  void add_expert(std::vector<Sum>& y, double weight, std::size_t e,
                  const std::vector<double>& x) const {
    std::vector<double> hidden;
    for (int i = 0; i < n; ++i) {
      const double gate = dot(&gate_.values[e][static_cast<std::size_t>(i * k)], x.data(), k) +
                          at(gate_bias_, e, i, n);
      const double up =
          dot(&up_.values[e][static_cast<std::size_t>(i * k)], x.data(), k) + at(up_bias_, e, i, n);
      hidden.push_back(gate > 0 ? gate * gate * (gated_ ? up : 1) : 0);
    }
    for (int i = 0; i < k; ++i) {
      Sum& sum = y[static_cast<std::size_t>(i)];
      for (int j = 0; j < n; ++j)
        sum.add(weight * hidden[static_cast<std::size_t>(j)] *
                static_cast<double>(down_.values[e][static_cast<std::size_t>(i * n + j)]));
      sum.add(weight * at(down_bias_, e, i, k));
    }
  }

  static double at(const std::vector<float>& bias, std::size_t e, int i, int width) {
    return static_cast<double>(
        bias[e * static_cast<std::size_t>(width) + static_cast<std::size_t>(i)]);
  }

  bool gated_ = true;
  Team team_{3};
  Arena arena_;
  ExpertsScratch scratch_;
  std::mt19937 random_{5};
  Bank gate_{n, k, team_, arena_, random_}, up_{n, k, team_, arena_, random_},
      down_{k, n, team_, arena_, random_};
  std::vector<float> gate_bias_ = random_floats(num_experts * n, random_),
                     up_bias_ = random_floats(num_experts * n, random_),
                     down_bias_ = random_floats(num_experts * k, random_);
};

struct Tokens {
  std::vector<float> x, weights, residual;
  std::vector<std::int32_t> chosen;

  // Expert 3 is never chosen.
  Tokens(int rows, std::mt19937& random)
      : x(random_floats(static_cast<std::size_t>(rows * k), random)),
        weights(random_floats(static_cast<std::size_t>(rows * top_k), random)),
        residual(random_floats(x.size(), random)) {
    for (int row = 0; row < rows; ++row) {
      chosen.push_back(static_cast<std::int32_t>(random() % 3));
      chosen.push_back(random() % 2 ? 4 : (chosen.back() + 1) % 3);
    }
  }
};

void ExpertsTest::expect_the_reference() {
  for (const auto& [rows, gated] : {std::pair{1, true}, {2, true}, {41, true}, {17, false}}) {
    gated_ = gated;
    const Tokens t(rows, random_);
    const auto out = run(t.x, t.chosen, t.weights, t.residual.data());
    for (int row = 0; row < rows; ++row) {
      const auto begin = t.x.begin() + row * k;
      std::vector<Sum> wanted(k, Sum{});
      for (std::size_t j = 0; j < wanted.size(); ++j)
        wanted[j].add(static_cast<double>(t.residual[static_cast<std::size_t>(row * k) + j]));
      for (int i = 0; i < top_k; ++i) {
        const auto pair = static_cast<std::size_t>(row * top_k + i);
        add_expert(wanted, static_cast<double>(t.weights[pair]),
                   static_cast<std::size_t>(t.chosen[pair]), std::vector<double>(begin, begin + k));
      }
      for (std::size_t j = 0; j < wanted.size(); ++j)
        EXPECT_NEAR(static_cast<double>(out[static_cast<std::size_t>(row * k) + j]),
                    wanted[j].value, 1e-6 * wanted[j].magnitude)
            << rows << " rows, row " << row;
    }
  }
}

TEST_P(ExpertsTest, AgreeWithTheReference) { expect_the_reference(); }

// As files of mixed quantizations have it.
TEST_P(ExpertsTest, GatesAndUpsMayBeStoredDifferently) {
  up_.store_in_bf16(n, k, team_, arena_);
  expect_the_reference();
}

TEST_P(ExpertsTest, ATokensBitsDoNotDependOnTheOthers) {
  constexpr int rows = 41;
  const Tokens t(rows, random_);
  const auto all = run(t.x, t.chosen, t.weights);
  for (int row = 0; row < rows; row += 4) {
    const auto alone =
        run({t.x.begin() + row * k, t.x.begin() + (row + 1) * k},
            {t.chosen.begin() + row * top_k, t.chosen.begin() + (row + 1) * top_k},
            {t.weights.begin() + row * top_k, t.weights.begin() + (row + 1) * top_k});
    ASSERT_EQ(std::memcmp(alone.data(), all.data() + row * k, k * sizeof(float)), 0) << row;
  }
}

INSTANTIATE_TEST_SUITE_P(Isas, ExpertsTest, ::testing::ValuesIn(available_isas()),
                         [](const auto& info) { return std::string(name_of(info.param)); });

}  // namespace
}  // namespace pippin::cpu
