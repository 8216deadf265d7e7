// Each instruction set's 16-lane functions against the scalar ones, and those against definitions.
#include "kernels/cpu/simd_kernels.h"

#include <gtest/gtest.h>

#include <array>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <random>
#include <string>

#include "kernels/cpu/isas_testing.h"
#include "kernels/cpu/kernels.h"

namespace pippin::cpu {
namespace {

using Lanes = std::array<float, 16>;
using Integers = std::array<std::int32_t, 16>;
constexpr float infinity = std::numeric_limits<float>::infinity();
const float nan = std::numeric_limits<float>::quiet_NaN();

std::uint32_t bits(float x) { return std::bit_cast<std::uint32_t>(x); }
float from_bits(std::uint32_t x) { return std::bit_cast<float>(x); }

class SimdTest : public ::testing::TestWithParam<Isa> {
 protected:
  const SimdKernels& simd_ = kernels_of(GetParam()).simd;
  const SimdKernels& scalar_ = kernels_of(Isa::scalar).simd;
  std::mt19937 random_{1};

  // Numbers of all magnitudes that matter, and some that are special.
  Lanes lanes(float largest = 100) {
    const std::array<float, 6> special = {0.0f, -0.0f, 0.5f, -1.5f, 1e-30f, 3e4f};
    std::uniform_real_distribution<float> uniform(-largest, largest);
    Lanes x;
    for (auto& v : x)
      v = random_() % 8 == 0 ? std::min(special[random_() % special.size()], largest)
                             : uniform(random_);
    return x;
  }

  Integers integers() {
    Integers x;
    for (auto& v : x) v = static_cast<std::int32_t>(random_() % 2000000) - 1000000;
    return x;
  }
};

void expect_same_bits(const Lanes& a, const Lanes& b, const char* what) {
  for (std::size_t i = 0; i < 16; ++i)
    ASSERT_EQ(bits(a[i]), bits(b[i])) << what << " lane " << i << ": " << a[i] << ", " << b[i];
}

TEST_P(SimdTest, ArithmeticHasTheScalarsBits) {
  using Unary = SimdKernels::Unary SimdKernels::*;
  using Binary = SimdKernels::Binary SimdKernels::*;
  const std::pair<const char*, Unary> unary[] = {{"abs", &SimdKernels::abs},
                                                 {"round", &SimdKernels::round}};
  const std::pair<const char*, Binary> binary[] = {
      {"add", &SimdKernels::add},           {"subtract", &SimdKernels::subtract},
      {"multiply", &SimdKernels::multiply}, {"divide", &SimdKernels::divide},
      {"max", &SimdKernels::max},           {"min", &SimdKernels::min}};
  for (int round = 0; round < 200; ++round) {
    const auto x = lanes();
    auto y = lanes();
    for (auto& v : y) v = v == 0 ? 1 : v;  // 0 / 0 has no one sign
    Lanes got, expected;
    for (const auto& [name, f] : unary) {
      (simd_.*f)(x.data(), got.data());
      (scalar_.*f)(x.data(), expected.data());
      expect_same_bits(got, expected, name);
    }
    for (const auto& [name, f] : binary) {
      (simd_.*f)(x.data(), y.data(), got.data());
      (scalar_.*f)(x.data(), y.data(), expected.data());
      expect_same_bits(got, expected, name);
    }
  }
}

TEST_P(SimdTest, TheScalarsArithmeticIsTheLanguages) {
  const Lanes x = lanes(), y = lanes(3);
  const auto check = [&](SimdKernels::Binary f, auto expected) {
    Lanes got;
    f(x.data(), y.data(), got.data());
    for (std::size_t i = 0; i < 16; ++i) EXPECT_EQ(got[i], expected(x[i], y[i]));
  };
  check(simd_.add, [](float a, float b) { return a + b; });
  check(simd_.subtract, [](float a, float b) { return a - b; });
  check(simd_.multiply, [](float a, float b) { return a * b; });
  check(simd_.max, [](float a, float b) { return a > b ? a : b; });
  check(simd_.min, [](float a, float b) { return a < b ? a : b; });
  Lanes got;
  simd_.abs(x.data(), got.data());
  for (std::size_t i = 0; i < 16; ++i) EXPECT_EQ(got[i], std::fabs(x[i]));
  simd_.set1(-3.5f, got.data());
  for (const float v : got) EXPECT_EQ(v, -3.5f);
}

// Either two roundings (scalar) or one. Compilers for Arm would join the two lines, were the product
// not volatile.
TEST_P(SimdTest, FmaIsWithinOneRounding) {
  for (int round = 0; round < 100; ++round) {
    const auto x = lanes(), y = lanes(), z = lanes();
    Lanes got;
    simd_.fma(x.data(), y.data(), z.data(), got.data());
    for (std::size_t i = 0; i < 16; ++i) {
      const volatile float product = x[i] * y[i];
      EXPECT_TRUE(got[i] == std::fma(x[i], y[i], z[i]) || got[i] == product + z[i]);
    }
  }
}

// Sampling relies on it: a NaN in the first operand is passed over.
TEST_P(SimdTest, MaxAndMinTakeTheSecondOfNaNs) {
  Lanes x, y, got;
  x.fill(nan);
  y.fill(-2);
  simd_.max(x.data(), y.data(), got.data());
  for (const float v : got) EXPECT_EQ(v, -2);
  simd_.min(x.data(), y.data(), got.data());
  for (const float v : got) EXPECT_EQ(v, -2);
}

TEST_P(SimdTest, LessAndSelect) {
  for (int round = 0; round < 100; ++round) {
    auto x = lanes(2), y = lanes(2);
    const auto z = lanes();
    x[3] = y[3];
    x[4] = nan;
    y[5] = nan;
    Lanes got;
    const auto mask = simd_.select_less(x.data(), y.data(), z.data(), got.data());
    EXPECT_EQ(mask >> 16, 0u);
    for (std::size_t i = 0; i < 16; ++i) {
      EXPECT_EQ((mask >> i) & 1u, x[i] < y[i] ? 1u : 0u);
      EXPECT_EQ(got[i], x[i] < y[i] ? x[i] : z[i]);
    }
  }
}

TEST_P(SimdTest, SumsAndMaxima) {
  for (int round = 0; round < 100; ++round) {
    const auto x = lanes();
    double sum = 0, size = 0;
    for (const float v : x) sum += static_cast<double>(v), size += std::abs(static_cast<double>(v));
    EXPECT_NEAR(simd_.sum(x.data()), sum, 1e-6 * size);
    EXPECT_EQ(simd_.max_of(x.data()), *std::max_element(x.begin(), x.end()));
  }
  for (std::size_t i = 0; i < 16; ++i) {  // every lane counts, once
    Lanes x;
    x.fill(-infinity);
    x[i] = -1;
    EXPECT_EQ(simd_.max_of(x.data()), -1);
    x.fill(0);
    x[i] = 1;
    EXPECT_EQ(simd_.sum(x.data()), 1);
  }
}

TEST_P(SimdTest, Integers) {
  for (int round = 0; round < 100; ++round) {
    const auto x = integers(), y = integers();
    Integers sum;
    simd_.add_int(x.data(), y.data(), sum.data());
    std::int32_t total = 0;
    for (std::size_t i = 0; i < 16; ++i) {
      EXPECT_EQ(sum[i], x[i] + y[i]);
      total += x[i];
    }
    EXPECT_EQ(simd_.sum_int(x.data()), total);
    Lanes floats;
    simd_.to_float(x.data(), floats.data());
    for (std::size_t i = 0; i < 16; ++i) EXPECT_EQ(floats[i], static_cast<float>(x[i]));
  }
}

TEST_P(SimdTest, RoundsHalvesToEven) {
  const Lanes x = {0.5f, 1.5f,   2.5f,    -0.5f,   -1.5f,      -2.5f,      0.49999997f, 3.0f,
                   -4,   126.5f, 127.49f, -127.5f, 8388607.0f, 1.0000001f, 0,           -0.75f};
  const Lanes expected = {0, 2, 2, 0, -2, -2, 0, 3, -4, 126, 127, -128, 8388607.0f, 1, 0, -1};
  Integers got;
  Lanes rounded;
  simd_.to_int(x.data(), got.data());
  simd_.round(x.data(), rounded.data());
  for (std::size_t i = 0; i < 16; ++i) {
    EXPECT_EQ(got[i], static_cast<std::int32_t>(expected[i]));
    EXPECT_EQ(rounded[i], expected[i]);
  }
}

TEST_P(SimdTest, StoresBytesInOrder) {
  for (int first = -128; first <= 112; first += 16) {
    Lanes x;
    for (int i = 0; i < 16; ++i) x[static_cast<std::size_t>(i)] = static_cast<float>(first + i);
    std::array<std::int8_t, 18> got;
    got.fill(77);
    simd_.store_i8(x.data(), got.data() + 1);
    for (int i = 0; i < 16; ++i) EXPECT_EQ(got[static_cast<std::size_t>(i + 1)], first + i);
    EXPECT_TRUE(got[0] == 77 && got[17] == 77);
  }
}

TEST_P(SimdTest, ScalesByPowers) {
  for (int n = -126; n <= 127; ++n) {
    Lanes x, power, got;
    for (std::size_t i = 0; i < 16; ++i) x[i] = 1 + static_cast<float>(i) / 16;
    power.fill(static_cast<float>(n));
    simd_.scale_by_power(x.data(), power.data(), got.data());
    for (std::size_t i = 0; i < 16; ++i) EXPECT_EQ(got[i], std::ldexp(x[i], n));
  }
}

TEST_P(SimdTest, PartsOfARow) {
  for (int n = 0; n <= 16; ++n) {
    const auto x = lanes();
    Lanes got;
    got.fill(9);
    simd_.load_first(x.data(), n, got.data());
    for (int i = 0; i < 16; ++i)
      EXPECT_EQ(got[static_cast<std::size_t>(i)], i < n ? x[static_cast<std::size_t>(i)] : 0.0f);
    got.fill(9);
    simd_.store_first(x.data(), n, got.data());
    for (int i = 0; i < 16; ++i)
      EXPECT_EQ(got[static_cast<std::size_t>(i)], i < n ? x[static_cast<std::size_t>(i)] : 9.0f);
  }
}

// ---- 16-bit formats

// By the definition: sign, 5 bits of exponent, 10 of fraction. A NaN keeps its payload, made quiet.
std::uint32_t f16_as_float_bits(std::uint32_t h) {
  const std::uint32_t sign = (h & 0x8000u) << 16, exponent = (h >> 10) & 31u, fraction = h & 1023u;
  if (exponent == 31) return sign | 0x7f800000u | (fraction << 13) | (fraction ? 0x400000u : 0u);
  const float value = exponent == 0 ? std::ldexp(static_cast<float>(fraction), -24)
                                    : std::ldexp(static_cast<float>(1024 + fraction),
                                                 static_cast<int>(exponent) - 25);
  return sign | bits(value);
}

TEST_P(SimdTest, WidensEveryHalf) {
  for (std::uint32_t first = 0; first < 0x10000; first += 32) {
    std::array<F16, 32> f16;
    std::array<Bf16, 32> bf16;
    for (std::uint32_t i = 0; i < 32; ++i) {
      f16[i].bits = static_cast<std::uint16_t>(first + i);
      bf16[i].bits = static_cast<std::uint16_t>(first + i);
    }
    Lanes got, even, odd;
    simd_.load_f16(f16.data(), got.data());
    for (std::uint32_t i = 0; i < 16; ++i)
      ASSERT_EQ(bits(got[i]), f16_as_float_bits(first + i)) << std::hex << first + i;
    simd_.load_bf16(bf16.data(), got.data());
    for (std::uint32_t i = 0; i < 16; ++i) ASSERT_EQ(bits(got[i]), (first + i) << 16);
    simd_.load_pairs_f16(f16.data(), even.data(), odd.data());
    for (std::uint32_t i = 0; i < 16; ++i) {
      ASSERT_EQ(bits(even[i]), f16_as_float_bits(first + 2 * i));
      ASSERT_EQ(bits(odd[i]), f16_as_float_bits(first + 2 * i + 1));
    }
    simd_.load_pairs_bf16(bf16.data(), even.data(), odd.data());
    for (std::uint32_t i = 0; i < 16; ++i) {
      ASSERT_EQ(bits(even[i]), (first + 2 * i) << 16);
      ASSERT_EQ(bits(odd[i]), (first + 2 * i + 1) << 16);
    }
  }
}

// Every byte, as a level and as two indices.
TEST_P(SimdTest, WidensEveryCode) {
  for (int first = 0; first < 256; first += 16) {
    std::array<Code8, 16> levels;
    std::array<Code4, 16> pairs;
    for (int i = 0; i < 16; ++i) {
      levels[static_cast<std::size_t>(i)].level = static_cast<std::int8_t>(first + i - 128);
      pairs[static_cast<std::size_t>(i)].pair = static_cast<std::uint8_t>(first + i);
    }
    Lanes got, low, high;
    simd_.load_code8(levels.data(), got.data());
    simd_.load_low_nibbles(pairs.data(), low.data());
    simd_.load_high_nibbles(pairs.data(), high.data());
    for (int i = 0; i < 16; ++i) {
      const auto lane = static_cast<std::size_t>(i);
      ASSERT_EQ(got[lane], static_cast<float>(first + i - 128));
      ASSERT_EQ(low[lane], kv_levels[i]);
      ASSERT_EQ(high[lane], kv_levels[first / 16]);
    }
  }
}

// Every half, the number halfway to the next (a tie goes to the even one), and just beside that.
TEST_P(SimdTest, NarrowsToTheNearestHalf) {
  const auto narrow = [&](float x) {
    Lanes lanes;
    lanes.fill(x);
    std::array<F16, 16> f16;
    std::array<Bf16, 16> bf16;
    simd_.store_f16(lanes.data(), f16.data());
    simd_.store_bf16(lanes.data(), bf16.data());
    return std::pair<std::uint32_t, std::uint32_t>(f16[15].bits, bf16[15].bits);
  };
  for (const std::uint32_t sign : {0u, 0x8000u})
    for (std::uint32_t h = 0; h < 0x7c00; ++h) {
      const float low = from_bits(f16_as_float_bits(h));
      // What would follow the largest is 2^16, which is stored as infinity.
      const float high = h == 0x7bff ? 65536.0f : from_bits(f16_as_float_bits(h + 1));
      const float middle = low + (high - low) / 2, s = sign ? -1.0f : 1.0f;
      ASSERT_EQ(narrow(s * low).first, sign | h);
      ASSERT_EQ(narrow(s * middle).first, sign | (h + (h & 1u)));
      ASSERT_EQ(narrow(s * std::nextafter(middle, 0.0f)).first, sign | h);
      ASSERT_EQ(narrow(s * std::nextafter(middle, infinity)).first, sign | (h + 1));
    }
  for (std::uint32_t h = 0; h < 0x7f80; ++h)
    for (const std::uint32_t sign : {0u, 0x8000u}) {
      const std::uint32_t u = (sign | h) << 16;
      ASSERT_EQ(narrow(from_bits(u)).second, sign | h);
      ASSERT_EQ(narrow(from_bits(u | 0x8000u)).second, sign | (h + (h & 1u)));
      ASSERT_EQ(narrow(from_bits(u | 0x7fffu)).second, sign | h);
      ASSERT_EQ(narrow(from_bits(u | 0x8001u)).second, sign | (h + 1));
    }
}

TEST_P(SimdTest, InfinitiesAndNaNsAsHalves) {
  const Lanes x = {infinity,
                   -infinity,
                   nan,
                   -nan,
                   from_bits(0x7f800001u),
                   from_bits(0xffbfffffu),
                   from_bits(0x7fffffffu),
                   65519.0f,
                   65520.0f,
                   1e30f,
                   -1e30f,
                   1e-10f,
                   -1e-10f,
                   from_bits(1),
                   std::numeric_limits<float>::max(),
                   -0.0f};
  std::array<F16, 16> f16, f16_expected;
  std::array<Bf16, 16> bf16, bf16_expected;
  simd_.store_f16(x.data(), f16.data());
  simd_.store_bf16(x.data(), bf16.data());
  scalar_.store_f16(x.data(), f16_expected.data());
  scalar_.store_bf16(x.data(), bf16_expected.data());
  for (std::size_t i = 0; i < 16; ++i) {
    EXPECT_EQ(f16[i].bits, f16_expected[i].bits) << i;
    EXPECT_EQ(bf16[i].bits, bf16_expected[i].bits) << i;
    EXPECT_EQ(std::isnan(x[i]), (f16[i].bits & 0x7fffu) > 0x7c00u) << i;
    EXPECT_EQ(std::isnan(x[i]), (bf16[i].bits & 0x7fffu) > 0x7f80u) << i;
  }
  EXPECT_EQ(f16[0].bits, 0x7c00);
  EXPECT_EQ(f16[1].bits, 0xfc00);
  EXPECT_EQ(f16[7].bits, 0x7bff);
  EXPECT_EQ(f16[8].bits, 0x7c00);
  EXPECT_EQ(f16[12].bits, 0x8000);
  EXPECT_EQ(bf16[0].bits, 0x7f80);
  EXPECT_EQ(bf16[14].bits, 0x7f80);
  EXPECT_EQ(bf16[15].bits, 0x8000);
}

// ---- elementary functions

// Calls check(x, f(x)) for numbers evenly over [low, high].
template <class Check>
void sweep(SimdKernels::Unary f, float low, float high, const Check& check) {
  constexpr int count = 20000;
  for (int i = 0; i < count; ++i) {
    Lanes x, y;
    for (int j = 0; j < 16; ++j)
      x[static_cast<std::size_t>(j)] =
          low + (high - low) * (static_cast<float>(16 * i + j) / (16 * count - 1));
    f(x.data(), y.data());
    for (std::size_t j = 0; j < 16; ++j) check(x[j], y[j]);
  }
}

TEST_P(SimdTest, ExpIsWithinTwoUlp) {
  double worst = 0;
  sweep(simd_.exp, -87, 88, [&](float x, float y) {
    const double expected = std::exp(static_cast<double>(x));
    const float nearest = static_cast<float>(expected);
    const double ulp = static_cast<double>(std::nextafter(nearest, infinity) - nearest);
    worst = std::max(worst, std::abs(static_cast<double>(y) - expected) / ulp);
  });
  EXPECT_LE(worst, 2);
  const Lanes x = {0, -0.0f, -100, -1e30f, -infinity, 88, 100, infinity, 1, -1, 0, 0, 0, 0, 0, 0};
  Lanes y;
  simd_.exp(x.data(), y.data());
  EXPECT_EQ(y[0], 1);
  EXPECT_EQ(y[1], 1);
  for (const std::size_t i : {2, 3, 4}) EXPECT_TRUE(y[i] >= 0 && y[i] < 2e-38f);
  EXPECT_EQ(y[6], y[5]);
  EXPECT_EQ(y[7], y[5]);
}

TEST_P(SimdTest, ActivationsAreNearTheirDefinitions) {
  const auto worst_of = [&](SimdKernels::Unary f, auto definition) {
    double worst = 0;
    for (const float range : {1.0f, 20.0f, 100.0f})
      sweep(f, -range, range, [&](float x, float y) {
        const double expected = definition(static_cast<double>(x));
        worst = std::max(
            worst, std::abs(static_cast<double>(y) - expected) / std::max(1.0, std::abs(expected)));
      });
    return worst;
  };
  const auto sigmoid = [](double x) { return 1 / (1 + std::exp(-x)); };
  EXPECT_LT(worst_of(simd_.sigmoid, sigmoid), 2e-7);
  EXPECT_LT(worst_of(simd_.silu, [&](double x) { return x * sigmoid(x); }), 3e-7);
  EXPECT_LT(worst_of(simd_.erf, [](double x) { return std::erf(x); }), 6e-7);
  EXPECT_LT(
      worst_of(simd_.gelu, [](double x) { return x / 2 * (1 + std::erf(x / std::sqrt(2.0))); }),
      1e-6);
  EXPECT_LT(worst_of(simd_.gelu_tanh,
                     [](double x) {
                       const double u = 0.7978845608028654 * (x + 0.044715 * x * x * x);
                       return x / 2 * (1 + std::tanh(u));
                     }),
            5e-7);
}

// Far out an activation is zero or the number itself, never NaN.
TEST_P(SimdTest, ActivationsOfLargeNumbers) {
  for (const auto f : {simd_.silu, simd_.gelu, simd_.gelu_tanh}) {
    const Lanes x = {1e4f, 1e9f, 60, -60, -1e4f, -1e9f, 0, -0.0f, 1e4f, 1e4f, 1, 1, 1, 1, 1, 1};
    Lanes y;
    f(x.data(), y.data());
    for (std::size_t i = 0; i < 8; ++i) EXPECT_NEAR(y[i], std::max(x[i], 0.0f), 1e-20f) << x[i];
  }
}

INSTANTIATE_TEST_SUITE_P(Isas, SimdTest, ::testing::ValuesIn(tested_isas()),
                         [](const auto& info) { return std::string(name_of(info.param)); });

}  // namespace
}  // namespace pippin::cpu
