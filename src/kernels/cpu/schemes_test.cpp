// Products by matrices of floating-point codes: mxfp4, nvfp4, mxfp8.
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <random>
#include <vector>

#include "kernels/cpu/linear.h"
#include "kernels/cpu/testing.h"
#include "kernels/cpu/types.h"

namespace pippin::cpu {
namespace {

// E2M1 and E4M3, written out.
double fp4(int code) {
  constexpr double sizes[] = {0, 0.5, 1, 1.5, 2, 3, 4, 6};
  return code < 8 ? sizes[code] : -sizes[code - 8];
}

double e4m3(int code) {
  const int exponent = code >> 3 & 15, mantissa = code & 7;
  const double size =
      exponent == 0 ? std::ldexp(mantissa, -9) : std::ldexp(8 + mantissa, exponent - 10);
  return code & 128 ? -size : size;
}

struct Matrix {
  Scheme scheme;
  int n, k;
  float factor;
  std::vector<std::uint8_t> weight, scales;
  std::vector<double> values;  // [n, k]

  int group() const { return scheme == Scheme::nvfp4 ? 16 : 32; }
  int bits() const { return scheme == Scheme::mxfp8 ? 8 : 4; }
  QuantizedSource source() const {
    return {weight.data(), scales.data(), nullptr,     n,      k,
            group(),       bits(),        Format::f32, scheme, factor};
  }
};

Matrix random_matrix(Scheme scheme, int n, int k, std::mt19937& random) {
  Matrix m{scheme, n, k, scheme == Scheme::nvfp4 ? 0.37f : 1.0f, {}, {}, {}};
  for (int i = 0; i < n * k / m.group(); ++i) {
    // Powers of two about 1; E4M3 of all sizes, without a sign.
    const int scale =
        static_cast<int>(scheme == Scheme::nvfp4 ? random() % 120 : 122 + random() % 9);
    m.scales.push_back(static_cast<std::uint8_t>(scale));
    const double size = static_cast<double>(m.factor) *
                        (scheme == Scheme::nvfp4 ? e4m3(scale) : std::ldexp(1.0, scale - 127));
    for (int j = 0; j < m.group(); ++j) {
      auto code = static_cast<int>(random() % (m.bits() == 8 ? 256 : 16));
      if ((code & 127) == 127) code = 0;  // no NaN
      m.values.push_back(size * (m.bits() == 8 ? e4m3(code) : fp4(code)));
      if (m.bits() == 8 || j % 2 == 0)
        m.weight.push_back(static_cast<std::uint8_t>(code));
      else
        m.weight.back() = static_cast<std::uint8_t>(m.weight.back() | code << 4);
    }
  }
  return m;
}

// The same with 8 bits a group.
std::vector<float> as_quantized(std::vector<float> x, int group) {
  for (auto begin = x.begin(); begin != x.end(); begin += group) {
    float top = 0;
    for (int i = 0; i < group; ++i) top = std::max(top, std::abs(begin[i]));
    for (int i = 0; i < group && top > 0; ++i)
      begin[i] = std::nearbyint(begin[i] * (127.0f / top)) * (top / 127.0f);
  }
  return x;
}

class SchemesTest : public ::testing::TestWithParam<Isa> {
 protected:
  std::vector<float> run(const PackedMatrix& w, const std::vector<float>& x, bool exact) {
    const int rows = static_cast<int>(x.size()) / w.k();
    std::vector<float> y(static_cast<std::size_t>(rows * w.n()), NAN);
    const PackedMatrix* parts[] = {&w};
    linear(team_, kernels_of(GetParam()), scratch_,
           {x.data(), w.k(), rows, parts, false, {y.data(), w.n()}, exact});
    return y;
  }

  // Largest difference from x W^T by the largest value.
  static double error(const std::vector<float>& y, const std::vector<float>& x, const Matrix& m) {
    double worst = 0, largest = 0;
    for (std::size_t row = 0; row < x.size() / static_cast<std::size_t>(m.k); ++row)
      for (std::size_t i = 0; i < static_cast<std::size_t>(m.n); ++i) {
        double sum = 0;
        for (std::size_t j = 0; j < static_cast<std::size_t>(m.k); ++j)
          sum += static_cast<double>(x[row * static_cast<std::size_t>(m.k) + j]) *
                 m.values[i * static_cast<std::size_t>(m.k) + j];
        const double difference =
            std::abs(sum - static_cast<double>(y[row * static_cast<std::size_t>(m.n) + i]));
        worst = difference <= worst ? worst : difference;
        largest = std::max(largest, std::abs(sum));
      }
    return worst / largest;
  }

  Team team_{3};
  Arena arena_;
  Scratch scratch_;
  std::mt19937 random_{9};
};

TEST_P(SchemesTest, ProductsAgreeWithTheReference) {
  for (const Scheme scheme : {Scheme::mxfp4, Scheme::nvfp4, Scheme::mxfp8})
    for (const int rows : {1, 3, 13, 33}) {
      SCOPED_TRACE(std::to_string(static_cast<int>(scheme)) + " rows " + std::to_string(rows));
      const auto m = random_matrix(scheme, 37, 96, random_);
      const PackedMatrix packed(team_, arena_, m.source());
      const auto x = random_floats(static_cast<std::size_t>(rows * m.k), random_);
      EXPECT_LT(error(run(packed, x, true), x, m), 2e-6);
      const bool integers = scheme == Scheme::mxfp4;
      EXPECT_LT(error(run(packed, x, false), integers ? as_quantized(x, 32) : x, m), 5e-6);
    }
}

// The largest code times the largest activation, all of one sign: sums of bytes must not overflow.
TEST_P(SchemesTest, ExtremeValuesDoNotOverflow) {
  Matrix m{Scheme::mxfp4,
           16,
           128,
           1,
           std::vector<std::uint8_t>(16 * 64, 0x77),
           std::vector<std::uint8_t>(16 * 4, 127),
           std::vector<double>(16 * 128, 6.0)};
  for (const int rows : {1, 40})
    for (const float sign : {1.0f, -1.0f}) {
      const PackedMatrix packed(team_, arena_, m.source());
      const std::vector<float> x(static_cast<std::size_t>(rows) * 128, 3.0f * sign);
      EXPECT_LT(error(run(packed, x, false), x, m), 1e-6);
    }
}

TEST_P(SchemesTest, ARowsBitsDoNotDependOnTheOthers) {
  for (const Scheme scheme : {Scheme::mxfp4, Scheme::nvfp4, Scheme::mxfp8}) {
    const auto m = random_matrix(scheme, 48, 64, random_);
    const PackedMatrix packed(team_, arena_, m.source());
    const auto x = random_floats(37 * 64, random_);
    const auto all = run(packed, x, false);
    for (int row = 0; row < 37; row += 4) {
      const auto alone = run(packed, {x.begin() + row * 64, x.begin() + (row + 1) * 64}, false);
      ASSERT_EQ(std::memcmp(alone.data(), all.data() + row * 48, 48 * sizeof(float)), 0) << row;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Isas, SchemesTest, ::testing::ValuesIn(available_isas()),
                         [](const auto& info) { return std::string(name_of(info.param)); });

TEST(PackedScheme, RowsOfATableAreItsValues) {
  Team team(1);
  Arena arena;
  std::mt19937 random(2);
  for (const Scheme scheme : {Scheme::mxfp4, Scheme::nvfp4, Scheme::mxfp8}) {
    const auto m = random_matrix(scheme, 19, 64, random);
    const PackedMatrix packed(team, arena, m.source());
    std::vector<float> row(64);
    packed.row(18, row.data());
    for (std::size_t i = 0; i < 64; ++i)
      EXPECT_NEAR(static_cast<double>(row[i]), m.values[18 * 64 + i],
                  1e-6 * std::abs(m.values[18 * 64 + i]));
  }
}

// Nothing is widened: 4.25 bits a number of mxfp4, 4.5 of nvfp4, 8.25 of mxfp8.
TEST(PackedScheme, AsLargeAsTheCheckpointSays) {
  Team team(1);
  Arena arena;
  std::mt19937 random(3);
  for (const Scheme scheme : {Scheme::mxfp4, Scheme::nvfp4, Scheme::mxfp8}) {
    const auto m = random_matrix(scheme, 32, 128, random);
    EXPECT_EQ(PackedMatrix(team, arena, m.source()).bytes(), m.weight.size() + m.scales.size());
  }
}

}  // namespace
}  // namespace pippin::cpu
