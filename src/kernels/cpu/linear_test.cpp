#include "kernels/cpu/linear.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <cstring>
#include <random>
#include <string>
#include <vector>

#include "kernels/cpu/isas_testing.h"
#include "kernels/cpu/testing.h"

namespace pippin::cpu {
namespace {

std::uint16_t to_bf16(float x) {
  return static_cast<std::uint16_t>(std::bit_cast<std::uint32_t>(x) >> 16);
}
float from_bf16(std::uint16_t x) { return std::bit_cast<float>(std::uint32_t{x} << 16); }

// binary16 of a value that is exactly one.
std::uint16_t to_f16(float x) {
  const auto u = std::bit_cast<std::uint32_t>(x);
  if ((u & 0x7fffffffu) == 0) return static_cast<std::uint16_t>(u >> 16);
  return static_cast<std::uint16_t>(((u >> 16) & 0x8000u) |
                                    (((u & 0x7fffffffu) - 0x38000000u) >> 13));
}
// x cut to what binary16 holds as a normal number.
float cut_to_f16(float x) {
  if (std::abs(x) < 0x1p-14f) return 0;
  return std::bit_cast<float>(std::bit_cast<std::uint32_t>(x) & 0xffffe000u);
}

// A random matrix in a checkpoint's form, and its values as plain doubles.
struct Matrix {
  int n, k, group, bits;
  Format format;
  std::vector<std::uint8_t> weight, scales, biases;
  std::vector<double> values;  // [n, k]

  QuantizedSource source() const {
    return {weight.data(), scales.data(), biases.data(), n, k, group, bits, format};
  }
};

void append(std::vector<std::uint8_t>& out, float x, Format format) {
  const std::size_t size = format == Format::f32 ? 4 : 2;
  const std::uint16_t half = format == Format::bf16 ? to_bf16(x) : to_f16(x);
  out.resize(out.size() + size);
  if (format == Format::f32)
    std::memcpy(out.data() + out.size() - 4, &x, 4);
  else
    std::memcpy(out.data() + out.size() - 2, &half, 2);
}

float rounded(float x, Format format) {
  if (format == Format::bf16) return from_bf16(to_bf16(x));
  return format == Format::f16 ? cut_to_f16(x) : x;
}

Matrix random_matrix(int n, int k, int group, int bits, Format format, std::mt19937& random) {
  Matrix m{n, k, group, bits, format, {}, {}, {}, {}};
  std::uniform_real_distribution<float> scale(0.01f, 0.1f);
  m.weight.resize(static_cast<std::size_t>(n) * static_cast<std::size_t>(k * bits / 8));
  for (int row = 0; row < n; ++row)
    for (int g = 0; g < k / group; ++g) {
      const float s = rounded(scale(random), format);
      const float b = rounded(-s * static_cast<float>(1 << (bits - 1)), format);
      append(m.scales, s, format);
      append(m.biases, b, format);
      for (int i = 0; i < group; ++i) {
        const unsigned q = random() & ((1u << bits) - 1u);
        const auto bit = (static_cast<std::size_t>(row) * static_cast<std::size_t>(k) +
                          static_cast<std::size_t>(g * group + i)) *
                         static_cast<std::size_t>(bits);
        for (std::size_t j = 0; j < static_cast<std::size_t>(bits); ++j)
          if ((q >> j) & 1u)
            m.weight[(bit + j) / 8] |= static_cast<std::uint8_t>(1u << ((bit + j) % 8));
        m.values.push_back(static_cast<double>(s) * q + static_cast<double>(b));
      }
    }
  return m;
}

// What 8 bits a group leave of x.
std::vector<float> as_quantized(std::vector<float> x, int group) {
  for (std::size_t begin = 0; begin < x.size(); begin += static_cast<std::size_t>(group)) {
    float top = 0;
    for (int i = 0; i < group; ++i)
      top = std::max(top, std::abs(x[begin + static_cast<std::size_t>(i)]));
    for (int i = 0; i < group; ++i) {
      auto& v = x[begin + static_cast<std::size_t>(i)];
      v = top > 0 ? std::nearbyint(v * (127.0f / top)) * (top / 127.0f) : 0.0f;
    }
  }
  return x;
}

std::vector<double> product(const std::vector<float>& x, const std::vector<double>& w, int rows,
                            int n, int k) {
  std::vector<double> y;
  for (int row = 0; row < rows; ++row)
    for (int i = 0; i < n; ++i) {
      double sum = 0;
      for (int j = 0; j < k; ++j)
        sum += static_cast<double>(x[static_cast<std::size_t>(row * k + j)]) *
               w[static_cast<std::size_t>(i) * static_cast<std::size_t>(k) +
                 static_cast<std::size_t>(j)];
      y.push_back(sum);
    }
  return y;
}

double scale_of(const std::vector<double>& y) {
  double largest = 1e-6;
  for (const double v : y) largest = std::max(largest, std::abs(v));
  return largest;
}

// Largest difference as a fraction of the largest value.
double error(const std::vector<float>& ours, const std::vector<double>& reference) {
  double worst = 0;
  for (std::size_t i = 0; i < reference.size(); ++i) {
    const double difference = std::abs(static_cast<double>(ours[i]) - reference[i]);
    if (!(difference <= worst)) worst = difference;
  }
  return worst / scale_of(reference);
}

class LinearTest : public ::testing::TestWithParam<Isa> {
 protected:
  std::vector<float> run(const std::vector<const PackedMatrix*>& parts, const std::vector<float>& x,
                         int rows, bool exact, bool gated = false, Output output = {}) {
    int n = gated ? parts[0]->n() : 0;
    if (!gated)
      for (const auto* part : parts) n += part->n();
    std::vector<float> y(static_cast<std::size_t>(rows * n), NAN);
    output.out = y.data();
    output.stride = n;
    output.residual_stride = n;
    const int k = parts[0]->k();
    linear(team_, kernels_of(GetParam()), scratch_,
           {x.data(), k, rows, parts, gated, output, exact});
    return y;
  }

  Team team_{3};
  Arena arena_;
  Scratch scratch_;
  std::mt19937 random_{7};
};

struct Shape {
  int n, k, group, bits;
  Format format;
};

std::vector<Shape> shapes() {
  std::vector<Shape> all;
  for (const int bits : {2, 3, 4, 5, 6, 8})
    for (const int group : {32, 64, 128}) all.push_back({37, 3 * group, group, bits, Format::bf16});
  for (const Format format : {Format::f32, Format::f16}) {
    all.push_back({16, 128, 64, 4, format});
    all.push_back({1, 64, 32, 8, format});
    all.push_back({37, 80, 16, 6, format});
  }
  all.push_back({400, 1024, 64, 4, Format::bf16});
  return all;
}

TEST_P(LinearTest, QuantizedProductsAgreeWithTheReference) {
  for (const auto& s : shapes())
    for (const int rows : {1, 2, 3, 5, 8, 13, 33}) {
      SCOPED_TRACE(std::to_string(s.n) + "x" + std::to_string(s.k) + " group " +
                   std::to_string(s.group) + " bits " + std::to_string(s.bits) + " rows " +
                   std::to_string(rows));
      const auto matrix = random_matrix(s.n, s.k, s.group, s.bits, s.format, random_);
      const PackedMatrix packed(team_, arena_, matrix.source());
      const auto x = random_floats(static_cast<std::size_t>(rows * s.k), random_);
      const auto exact = product(x, matrix.values, rows, s.n, s.k);
      const auto quantized = product(as_quantized(x, s.group), matrix.values, rows, s.n, s.k);
      EXPECT_LT(error(run({&packed}, x, rows, true), exact), 2e-6);
      EXPECT_LT(error(run({&packed}, x, rows, false), quantized), 5e-6);
      // Rounding to 127 steps of the group's largest value: 0.2 % of it on average, less in the sum.
      EXPECT_LT(error(run({&packed}, x, rows, false), exact), 0.03);
    }
}

TEST_P(LinearTest, ExtremeValuesDoNotOverflow) {
  for (const int bits : {4, 8}) {
    auto matrix = random_matrix(16, 256, 128, bits, Format::f32, random_);
    std::fill(matrix.weight.begin(), matrix.weight.end(), std::uint8_t{255});
    for (int i = 0; i < 16; ++i)
      for (int k = 0; k < 256; ++k) {
        float s, b;
        std::memcpy(&s, &matrix.scales[static_cast<std::size_t>(8 * i + k / 128 * 4)], 4);
        std::memcpy(&b, &matrix.biases[static_cast<std::size_t>(8 * i + k / 128 * 4)], 4);
        matrix.values[static_cast<std::size_t>(256 * i + k)] =
            static_cast<double>(s) * ((1 << bits) - 1) + static_cast<double>(b);
      }
    const PackedMatrix packed(team_, arena_, matrix.source());
    for (const float sign : {1.0f, -1.0f}) {
      const std::vector<float> x(40 * 256, 3.0f * sign);
      const auto wanted = product(x, matrix.values, 40, 16, 256);
      EXPECT_LT(error(run({&packed}, x, 40, false), wanted), 1e-5);
      EXPECT_LT(error(run({&packed}, x, 1, false), {wanted.begin(), wanted.begin() + 16}), 1e-5);
    }
  }
}

// A random plain matrix, and its values as doubles.
struct PlainMatrix {
  int n, k;
  Format format;
  std::vector<std::uint8_t> weight;
  std::vector<double> values;

  PlainMatrix(int outputs, int inputs, Format stored, std::mt19937& random)
      : n(outputs), k(inputs), format(stored) {
    for (const float w : random_floats(static_cast<std::size_t>(n * k), random)) {
      append(weight, rounded(w, format), format);
      values.push_back(static_cast<double>(rounded(w, format)));
    }
  }

  DenseSource source() const { return {weight.data(), n, k, format}; }
};

std::vector<float> as_bf16(std::vector<float> x) {
  for (auto& v : x) v = nearest_bf16(v);
  return x;
}

TEST_P(LinearTest, DenseProductsAgreeWithTheReference) {
  for (const Format format : {Format::f32, Format::bf16, Format::f16})
    for (const int rows : {1, 2, 7, 25})
      for (const auto& [n, k] : {std::pair{19, 7}, {64, 48}, {3, 100}, {150, 1101}}) {
        const PlainMatrix matrix(n, k, format, random_);
        const PackedMatrix packed(team_, arena_, matrix.source());
        const auto x = random_floats(static_cast<std::size_t>(rows * k), random_);
        EXPECT_LT(error(run({&packed}, x, rows, true), product(x, matrix.values, rows, n, k)),
                  2e-6);
        const bool rounds = format == Format::bf16 && kernels_of(GetParam()).bf16.dense;
        const auto wanted = product(rounds ? as_bf16(x) : x, matrix.values, rows, n, k);
        EXPECT_LT(error(run({&packed}, x, rows, false), wanted), 2e-6);
        std::vector<float> row(static_cast<std::size_t>(k));
        packed.row(n - 1, row.data());
        for (int i = 0; i < k; ++i)
          EXPECT_EQ(static_cast<double>(row[static_cast<std::size_t>(i)]),
                    matrix.values[static_cast<std::size_t>((n - 1) * k + i)]);
      }
}

TEST_P(LinearTest, TiesAreRoundedToEven) {
  const PlainMatrix matrix(16, 1, Format::bf16, random_);
  const PackedMatrix packed(team_, arena_, matrix.source());
  if (!kernels_of(GetParam()).bf16.dense) {
    EXPECT_NE(GetParam(), Isa::avx512_bf16);
    return;
  }
  // A bf16 number's last bit is 2^-7 of its power of two.
  for (const auto& [x, near] : {std::pair{1 + 0x1p-8f, 1.0f},
                                {1 + 3 * 0x1p-8f, 1 + 0x1p-6f},
                                {1 + 0x1.01p-8f, 1 + 0x1p-7f},
                                {-1 - 0x0.ffp-8f, -1.0f}}) {
    EXPECT_EQ(nearest_bf16(x), near);
    EXPECT_EQ(run({&packed}, {x}, 1, false), run({&packed}, {near}, 1, true));
  }
}

TEST_P(LinearTest, ARowsBitsDoNotDependOnTheOthers) {
  const auto matrix = random_matrix(80, 256, 64, 4, Format::bf16, random_);
  const PackedMatrix packed(team_, arena_, matrix.source());
  constexpr int rows = 37;
  const auto x = random_floats(rows * 256, random_);
  for (const bool exact : {false, true}) {
    const auto all = run({&packed}, x, rows, exact);
    for (int row = 0; row < rows; ++row) {
      const std::vector<float> one(x.begin() + row * 256, x.begin() + (row + 1) * 256);
      const auto alone = run({&packed}, one, 1, exact);
      ASSERT_EQ(std::memcmp(alone.data(), all.data() + row * 80, 80 * sizeof(float)), 0)
          << "row " << row << " exact " << exact;
    }
  }
}

// So many values that rows are taken in two blocks.
TEST_P(LinearTest, ARowsBitsDoNotDependOnTheOthersWherePlain) {
  constexpr int n = 48, k = 8200, rows = 37;
  const PlainMatrix matrix(n, k, Format::bf16, random_);
  const PackedMatrix packed(team_, arena_, matrix.source());
  const auto x = random_floats(rows * k, random_);
  for (const bool exact : {false, true}) {
    const auto all = run({&packed}, x, rows, exact);
    for (int row = 0; row < rows; row += 5) {
      const std::vector<float> one(x.begin() + row * k, x.begin() + (row + 1) * k);
      const auto alone = run({&packed}, one, 1, exact);
      ASSERT_EQ(std::memcmp(alone.data(), all.data() + row * n, n * sizeof(float)), 0)
          << "row " << row << " exact " << exact;
    }
  }
}

TEST_P(LinearTest, PartsLieSideBySide) {
  const auto a = random_matrix(33, 128, 64, 4, Format::bf16, random_);
  const auto b = random_matrix(16, 128, 32, 8, Format::f32, random_);
  const PlainMatrix c(100, 128, Format::bf16, random_);
  const PackedMatrix pa(team_, arena_, a.source()), pb(team_, arena_, b.source()),
      pc(team_, arena_, c.source());
  for (const int rows : {5, 40}) {
    const auto x = random_floats(static_cast<std::size_t>(rows) * 128, random_);
    const auto all = run({&pa, &pb, &pc}, x, rows, false), first = run({&pa}, x, rows, false),
               second = run({&pb}, x, rows, false), third = run({&pc}, x, rows, false);
    for (std::size_t row = 0; row < static_cast<std::size_t>(rows); ++row)
      for (std::size_t i = 0; i < 149; ++i)
        EXPECT_EQ(all[row * 149 + i], i < 33   ? first[row * 33 + i]
                                      : i < 49 ? second[row * 16 + i - 33]
                                               : third[row * 100 + i - 49]);
  }
}

TEST_P(LinearTest, GatedProductsOfEightBitActivations) {
  for (const int bits : {4, 8})
    for (const int rows : {1, 7, 40}) {
      const auto a = random_matrix(40, 128, 32, bits, Format::bf16, random_);
      const auto b = random_matrix(40, 128, 32, bits, Format::bf16, random_);
      const PackedMatrix pa(team_, arena_, a.source()), pb(team_, arena_, b.source());
      const auto x = random_floats(static_cast<std::size_t>(rows) * 128, random_);
      Output silu;
      silu.activation = Activation::silu;
      const auto gated = run({&pa, &pb}, x, rows, false, true, silu),
                 gate = run({&pa}, x, rows, false, false, silu), up = run({&pb}, x, rows, false);
      for (std::size_t i = 0; i < gated.size(); ++i) EXPECT_EQ(gated[i], gate[i] * up[i]);
    }
}

TEST_P(LinearTest, GatedProductsOfPlainMatrices) {
  for (const int rows : {1, 7, 40}) {
    const PlainMatrix a(72, 128, Format::bf16, random_), b(72, 128, Format::bf16, random_);
    const PackedMatrix pa(team_, arena_, a.source()), pb(team_, arena_, b.source());
    const auto x = random_floats(static_cast<std::size_t>(rows) * 128, random_);
    Output silu;
    silu.activation = Activation::silu;
    const auto gated = run({&pa, &pb}, x, rows, false, true, silu),
               gate = run({&pa}, x, rows, false, false, silu), up = run({&pb}, x, rows, false);
    for (std::size_t i = 0; i < gated.size(); ++i) EXPECT_EQ(gated[i], gate[i] * up[i]);
  }
}

TEST_P(LinearTest, BiasActivationGateAndResidual) {
  const auto a = random_matrix(40, 128, 64, 4, Format::bf16, random_);
  const auto b = random_matrix(40, 128, 64, 4, Format::bf16, random_);
  const PackedMatrix pa(team_, arena_, a.source()), pb(team_, arena_, b.source());
  const auto x = random_floats(3 * 128, random_), bias = random_floats(40, random_),
             residual = random_floats(3 * 40, random_);
  const auto ya = product(x, a.values, 3, 40, 128), yb = product(x, b.values, 3, 40, 128);
  const auto check = [&](Activation activation, auto f) {
    std::vector<double> expected;
    for (std::size_t i = 0; i < ya.size(); ++i)
      expected.push_back(static_cast<double>(residual[i]) +
                         f(ya[i] + static_cast<double>(bias[i % 40])));
    Output output;
    output.bias = bias.data();
    output.residual = residual.data();
    output.activation = activation;
    EXPECT_LT(error(run({&pa}, x, 3, true, false, output), expected), 3e-6);
  };
  check(Activation::none, [](double v) { return v; });
  check(Activation::silu, [](double v) { return v / (1 + std::exp(-v)); });
  check(Activation::gelu, [](double v) { return v * 0.5 * (1 + std::erf(v / std::sqrt(2.0))); });
  check(Activation::gelu_tanh, [](double v) {
    return 0.5 * v * (1 + std::tanh(std::sqrt(2 / M_PI) * (v + 0.044715 * v * v * v)));
  });

  check(Activation::clipped_swiglu, [](double v) {
    const double clipped = std::min(v, 7.0);
    return clipped / (1 + std::exp(-1.702 * clipped));
  });
  check(Activation::relu_squared, [](double v) { return v > 0 ? v * v : 0.0; });

  std::vector<double> gated, with_biases;
  const auto times_bias = random_floats(40, random_);
  for (std::size_t i = 0; i < ya.size(); ++i) {
    const double gate = ya[i] + static_cast<double>(bias[i % 40]);
    with_biases.push_back((gate > 0 ? gate * gate : 0.0) *
                          (yb[i] + static_cast<double>(times_bias[i % 40])));
  }
  Output biased;
  biased.bias = bias.data();
  biased.times_bias = times_bias.data();
  biased.activation = Activation::relu_squared;
  EXPECT_LT(error(run({&pa, &pb}, x, 3, true, true, biased), with_biases), 3e-6);
  for (std::size_t i = 0; i < ya.size(); ++i)
    gated.push_back(ya[i] / (1 + std::exp(-ya[i])) * yb[i]);
  Output silu;
  silu.activation = Activation::silu;
  EXPECT_LT(error(run({&pa, &pb}, x, 3, true, true, silu), gated), 3e-6);

  std::vector<double> clipped;
  for (std::size_t i = 0; i < ya.size(); ++i) {
    const double gate = std::min(ya[i], 7.0);
    clipped.push_back(gate / (1 + std::exp(-1.702 * gate)) * (std::clamp(yb[i], -7.0, 7.0) + 1));
  }
  Output swiglu;
  swiglu.activation = Activation::clipped_swiglu;
  EXPECT_LT(error(run({&pa, &pb}, x, 3, true, true, swiglu), clipped), 3e-6);
}

TEST_P(LinearTest, RowsOfATableAreItsValues) {
  for (const auto& s : shapes()) {
    const auto matrix = random_matrix(s.n, s.k, s.group, s.bits, s.format, random_);
    const PackedMatrix packed(team_, arena_, matrix.source());
    std::vector<float> row(static_cast<std::size_t>(s.k));
    packed.row(s.n - 1, row.data());
    for (int i = 0; i < s.k; ++i)
      EXPECT_NEAR(static_cast<double>(row[static_cast<std::size_t>(i)]),
                  matrix.values[static_cast<std::size_t>((s.n - 1) * s.k + i)], 2e-6);
  }
}

TEST(PackedMatrixTest, AsLargeAsTheCheckpointSays) {
  Team team(1);
  Arena arena;
  std::mt19937 random(1);
  const auto matrix = random_matrix(64, 256, 64, 4, Format::bf16, random);
  const PackedMatrix packed(team, arena, matrix.source());
  EXPECT_EQ(packed.bytes(), matrix.weight.size() + matrix.scales.size() + matrix.biases.size());
}

INSTANTIATE_TEST_SUITE_P(Isas, LinearTest, ::testing::ValuesIn(tested_isas()),
                         [](const auto& info) { return std::string(name_of(info.param)); });

}  // namespace
}  // namespace pippin::cpu
