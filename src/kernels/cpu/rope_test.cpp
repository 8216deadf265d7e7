#include "kernels/cpu/rope.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "kernels/cpu/isas_testing.h"
#include "kernels/cpu/testing.h"
#include "pippin/error.h"

namespace pippin::cpu {
namespace {

struct Shape {
  int rows, num_heads, num_kv_heads, head_dim, rotary_dim, page_size;
  KvFormat format;
  HeadNorms norms;
  bool interleaved = false;
  bool weights = true;  ///< of the norms
  bool q_scales = false;
  KeyValues kv = KeyValues::apart;
  bool value_norms = false;
};

constexpr auto none = HeadNorms::none, each = HeadNorms::each_head, whole = HeadNorms::whole_row,
               after = HeadNorms::each_head_after_rotation;

// Head `head` of `count` in x by the definitions.
std::vector<double> turn_naive(const float* x, int head, int count, const Shape& s,
                               const float* weights, double eps, double scale, const float* cos,
                               const float* sin) {
  const std::size_t D = static_cast<std::size_t>(s.head_dim),
                    at = static_cast<std::size_t>(head) * D;
  std::vector<double> y(x + at, x + at + D);
  const bool is_after = s.norms == after;
  if (s.norms != none) {
    const bool all = s.norms == whole;
    const std::size_t begin = all ? 0 : at, width = all ? static_cast<std::size_t>(count) * D : D;
    double squares = 0;
    for (std::size_t i = begin; i < begin + width; ++i)
      squares += static_cast<double>(x[i]) * static_cast<double>(x[i]);
    const double factor = 1 / std::sqrt(squares / static_cast<double>(width) + eps);
    for (std::size_t d = 0; d < D; ++d)
      y[d] *=
          factor * (s.weights && !is_after ? static_cast<double>(weights[all ? at + d : d]) : 1.0);
  }
  for (auto& v : y) v *= scale;
  const auto half = static_cast<std::size_t>(s.rotary_dim / 2);
  for (std::size_t i = 0; i < half; ++i) {
    auto &a = s.interleaved ? y[2 * i] : y[i], &b = s.interleaved ? y[2 * i + 1] : y[half + i];
    const double c = cos[i], t = sin[i], first = a;
    a = first * c - b * t;
    b = b * c + first * t;
  }
  for (std::size_t d = 0; is_after && s.weights && d < D; ++d)
    y[d] *= static_cast<double>(weights[d]);
  return y;
}

// value [D] as the pools have it.
std::vector<double> value_naive(const float* value, const Shape& s, double eps) {
  std::vector<double> y(value, value + s.head_dim);
  if (!s.value_norms) return y;
  double squares = 0;
  for (const double v : y) squares += v * v;
  for (auto& v : y) v /= std::sqrt(squares / s.head_dim + eps);
  return y;
}

// The difference's share of the head, as lengths.
double relative_difference(const std::vector<double>& got, const std::vector<double>& wanted) {
  double squares = 0, length = 0;
  for (std::size_t i = 0; i < wanted.size(); ++i) {
    squares += (got[i] - wanted[i]) * (got[i] - wanted[i]);
    length += wanted[i] * wanted[i];
  }
  return std::sqrt(squares / length);
}

// Eight bits: an error of half a step at most, 1 / 127 of the largest number, which is no longer than
// the head, and of 2^-9 from the scale's rounding at most at that number. Four bits: the widest gap of kv_levels is 31, so that with the
// first scale no number is off by more than 15.5 of 127, and the final scale has the least error.
void expect_codes(const TestPools& pools, int slot, int head, const std::vector<double>& key,
                  const std::vector<double>& value) {
  const double D = static_cast<double>(key.size());
  const double bound = pools.view().format == KvFormat::int8 ? 0.75 / 127 : 15.6 / 127;
  const double most = bound * std::sqrt(D);
  EXPECT_LT(relative_difference(pools.key(slot, head), key), std::min(most, 0.35));
  EXPECT_LT(relative_difference(pools.value(slot, head), value), std::min(most, 0.35));
}

class RopeTest : public ::testing::TestWithParam<Isa> {
 protected:
  static constexpr double eps = 1e-6;
  std::mt19937 random_{1};

  // q, and the rows that have a slot in the pools, against the definitions.
  void check(const Shape& s, int threads) {
    const std::size_t D = static_cast<std::size_t>(s.head_dim);
    const int kinds = s.kv == KeyValues::apart ? 2 : s.kv == KeyValues::one ? 1 : 0;
    const std::size_t width = static_cast<std::size_t>(s.num_heads + kinds * s.num_kv_heads) * D;
    const std::size_t stride = width + 3, half = static_cast<std::size_t>(s.rotary_dim / 2);
    const auto num_rows = static_cast<std::size_t>(s.rows);
    const auto qkv = random_floats(num_rows * stride, random_);
    const auto H = static_cast<std::size_t>(s.num_heads);
    const auto q_norm = random_floats(H * D, random_), k_norm = random_floats(H * D, random_);
    const auto q_scales = random_floats(num_rows, random_);
    const auto cos = random_floats(num_rows * half, random_);
    const auto sin = random_floats(num_rows * half, random_);
    TestPools pools(s.rows / s.page_size + 3, s.page_size, s.num_kv_heads, s.head_dim, s.format);
    auto slots = pools.shuffled_slots(s.rows, random_);
    if (s.rows > 2) slots[1] = -1;
    const std::size_t q_stride = static_cast<std::size_t>(s.num_heads) * D + 1;
    std::vector<float> q(num_rows * q_stride, 7.0f);
    Team team(threads);
    const QkvRows rows = {.qkv = qkv.data(),
                          .qkv_stride = static_cast<std::int64_t>(stride),
                          .num_heads = s.num_heads,
                          .kv = s.kv,
                          .value_norms = s.value_norms,
                          .norms = s.norms,
                          .q_norm = s.weights ? q_norm.data() : nullptr,
                          .k_norm = s.weights ? k_norm.data() : nullptr,
                          .eps = static_cast<float>(eps),
                          .q_scales = s.q_scales ? q_scales.data() : nullptr,
                          .cos = cos.data(),
                          .sin = sin.data(),
                          .rotary_dim = s.rotary_dim,
                          .interleaved = s.interleaved,
                          .slots = slots.data(),
                          .q = q.data(),
                          .q_stride = static_cast<std::int64_t>(q_stride),
                          .pools = pools.view()};
    rope_and_store(team, kernels_of(GetParam()), rows, s.rows);

    const double rounding = s.format == KvFormat::bf16  ? 0x1p-8
                            : s.format == KvFormat::f16 ? 0x1p-11
                                                        : 2e-6;
    for (std::size_t row = 0; row < num_rows; ++row) {
      const float *c = cos.data() + row * half, *t = sin.data() + row * half;
      for (std::size_t head = 0; head < static_cast<std::size_t>(s.num_heads); ++head) {
        const double scale = s.q_scales ? static_cast<double>(q_scales[row]) : 1.0;
        const auto wanted = turn_naive(&qkv[row * stride], static_cast<int>(head), s.num_heads, s,
                                       q_norm.data(), eps, scale, c, t);
        for (std::size_t d = 0; d < D; ++d)
          ASSERT_NEAR(q[row * q_stride + head * D + d], wanted[d], 2e-5) << row << " " << d;
      }
      EXPECT_EQ(q[(row + 1) * q_stride - 1], 7.0f);  // nothing beyond the heads
      if (slots[row] < 0) continue;
      if (s.kv == KeyValues::none) {
        EXPECT_EQ(pools.key(slots[row], 0, 0), 0.0f) << "a key was written";
        continue;
      }
      for (std::size_t head = 0; head < static_cast<std::size_t>(s.num_kv_heads); ++head) {
        const float* k = &qkv[row * stride + (static_cast<std::size_t>(s.num_heads) + head) * D];
        const auto v = value_naive(
            s.kv == KeyValues::one ? k : k + static_cast<std::size_t>(s.num_kv_heads) * D, s, eps);
        const auto wanted = turn_naive(&qkv[row * stride + H * D], static_cast<int>(head),
                                       s.num_kv_heads, s, k_norm.data(), eps, 1.0, c, t);
        if (is_quantized(s.format)) {
          expect_codes(pools, slots[row], static_cast<int>(head), wanted, v);
          continue;
        }
        for (std::size_t d = 0; d < D; ++d) {
          const int h = static_cast<int>(head), i = static_cast<int>(d);
          ASSERT_NEAR(pools.key(slots[row], h, i), wanted[d],
                      2e-5 + rounding * std::abs(wanted[d]));
          ASSERT_NEAR(pools.value(slots[row], h, i), v[d], 2e-6 + rounding * std::abs(v[d]));
        }
      }
    }
  }
};

TEST_P(RopeTest, QuantizedPagesHoldWhatIsNear) {
  for (const auto format : {KvFormat::int8, KvFormat::int4}) {
    check({37, 4, 2, 128, 128, 16, format, each}, 2);
    check({19, 5, 5, 80, 80, 3, format, none}, 1);
    check({7, 2, 2, 72, 72, 1, format, each}, 1);
    check({30, 3, 1, 8, 8, 16, format, each}, 3);
    check({11, 3, 1, 24, 24, 16, format, after}, 2);
    check({5, 2, 1, 256, 64, 48, format, each}, 1);
    check({3, 2, 1, 24, 0, 2, format, each}, 1);
    check({9, 3, 1, 512, 512, 16, format, each, false, true, false, KeyValues::one, true}, 2);
  }
}

// A token's bytes don't depend on what is written beside it, and nothing else is written.
TEST_P(RopeTest, ATokensCodesAreItsOwn) {
  for (const auto format : {KvFormat::int8, KvFormat::int4})
    for (const int D : {8, 48, 128}) {
      const auto qkv = random_floats(static_cast<std::size_t>(40 * 3 * D), random_);
      const auto written = [&](int first, int count, int threads) {
        auto pools = std::make_unique<TestPools>(5, 16, 1, D, format);
        pools->fill_with_nan();
        std::vector<std::int32_t> slots;
        for (int i = first; i < first + count; ++i) slots.push_back((i * 37) % 80);
        std::vector<float> q(static_cast<std::size_t>(count * D));
        Team team(threads);
        const QkvRows rows = {.qkv = qkv.data() + first * 3 * D,
                              .qkv_stride = 3 * D,
                              .num_heads = 1,
                              .slots = slots.data(),
                              .q = q.data(),
                              .q_stride = D,
                              .pools = pools->view()};
        rope_and_store(team, kernels_of(GetParam()), rows, count);
        return pools;
      };
      const auto all = written(0, 40, 2), one = written(17, 1, 1);
      const int slot = (17 * 37) % 80;
      EXPECT_EQ(one->key(slot, 0), all->key(slot, 0));
      EXPECT_EQ(one->value(slot, 0), all->value(slot, 0));
      EXPECT_TRUE(std::isnan(one->key_scale(slot + 1, 0)));
      EXPECT_TRUE(std::isnan(one->value_scale(slot - 1, 0)));
    }
}

TEST_P(RopeTest, EqualsTheDefinition) {
  check({1, 16, 8, 128, 128, 16, KvFormat::f16, each}, 1);
  check({37, 4, 2, 128, 128, 16, KvFormat::f16, each}, 2);
  check({33, 4, 1, 64, 64, 32, KvFormat::bf16, each}, 2);
  check({19, 5, 5, 80, 80, 3, KvFormat::f32, none}, 1);
  check({7, 2, 2, 72, 72, 1, KvFormat::f16, each}, 1);
  check({300, 3, 1, 8, 8, 16, KvFormat::bf16, each}, 3);
  check({5, 2, 1, 256, 64, 16, KvFormat::f16, each}, 1);
  check({3, 2, 1, 24, 0, 2, KvFormat::f32, each}, 1);
  check({6, 4, 2, 64, 64, 16, KvFormat::f32, none, true}, 2);
  check({5, 2, 1, 80, 48, 16, KvFormat::f16, each, true}, 1);
  check({9, 4, 2, 40, 40, 16, KvFormat::f32, whole}, 2);
  check({9, 3, 1, 24, 24, 16, KvFormat::f32, after}, 2);
  check({6, 4, 2, 40, 16, 16, KvFormat::f16, after, true, true, true}, 1);
  check({4, 3, 3, 64, 16, 4, KvFormat::f32, whole, true, false, true}, 1);
  check({7, 4, 2, 32, 32, 16, KvFormat::int8, each, false, false, true}, 1);
  check({3, 2, 2, 16, 16, 16, KvFormat::f32, none, false, false, true}, 1);
}

// Gemma 4's: values are normed, are the keys, or are another layer's.
TEST_P(RopeTest, ValuesAreNormedOrKeysOrThere) {
  for (const auto kv : {KeyValues::apart, KeyValues::one, KeyValues::none})
    for (const bool value_norms : {false, true}) {
      check({9, 3, 1, 512, 512, 16, KvFormat::f16, each, false, true, false, kv, value_norms}, 2);
      check({5, 6, 2, 24, 24, 3, KvFormat::f32, none, false, true, false, kv, value_norms}, 1);
    }
}

TEST_P(RopeTest, InPlaceAndWithoutRows) {
  const int D = 16;
  TestPools pools(1, 16, 1, D, KvFormat::f32);
  auto x = random_floats(3 * D, random_);
  const auto before = x;
  const std::int32_t slot = 4;
  Team team(1);
  QkvRows rows = {.qkv = x.data(),
                  .qkv_stride = 3 * D,
                  .num_heads = 1,
                  .slots = &slot,
                  .q = x.data(),
                  .q_stride = 3 * D,
                  .pools = pools.view()};
  rope_and_store(team, kernels_of(GetParam()), rows, 0);
  EXPECT_EQ(pools.key(4, 0, 3), 0.0f);
  rope_and_store(team, kernels_of(GetParam()), rows, 1);
  EXPECT_EQ(x, before);
  EXPECT_EQ(pools.key(4, 0, 3), before[D + 3]);
  EXPECT_EQ(pools.value(4, 0, 5), before[2 * D + 5]);
}

// Multi-head latent attention: the last numbers of a head turn, and values come with their keys.
TEST_P(RopeTest, TheLastNumbersTurnWhereAsked) {
  const int D = 40, turned = 8, begin = D - turned;
  for (const bool interleaved : {false, true}) {
    TestPools pools(2, 16, 1, D, KvFormat::f32, begin, true);
    const std::size_t width = 3 * D;  // two queries and a key
    auto x = random_floats(width, random_);
    const auto before = x;
    const auto angles = random_floats(turned, random_);
    const std::int32_t slot = 17;
    Team team(1);
    const QkvRows rows = {.qkv = x.data(),
                          .qkv_stride = static_cast<std::int64_t>(width),
                          .num_heads = 2,
                          .cos = angles.data(),
                          .sin = angles.data() + turned / 2,
                          .rotary_dim = turned,
                          .rotary_begin = begin,
                          .interleaved = interleaved,
                          .slots = &slot,
                          .q = x.data(),
                          .q_stride = static_cast<std::int64_t>(width),
                          .pools = pools.view()};
    rope_and_store(team, kernels_of(GetParam()), rows, 1);
    const Shape tail = {.rows = 1,
                        .num_heads = 1,
                        .num_kv_heads = 1,
                        .head_dim = turned,
                        .rotary_dim = turned,
                        .page_size = 16,
                        .format = KvFormat::f32,
                        .norms = none,
                        .interleaved = interleaved};
    for (int head = 0; head < 3; ++head) {
      const auto wanted = turn_naive(before.data() + head * D + begin, 0, 1, tail, nullptr, eps, 1,
                                     angles.data(), angles.data() + turned / 2);
      const auto got = [&](int d) {
        return head < 2 ? static_cast<double>(x[static_cast<std::size_t>(head * D + d)])
                        : pools.key(slot, 0, d);
      };
      for (int d = 0; d < begin; ++d)
        EXPECT_EQ(got(d), before[static_cast<std::size_t>(head * D + d)]) << head << " " << d;
      for (int d = begin; d < D; ++d)
        EXPECT_NEAR(got(d), wanted[static_cast<std::size_t>(d - begin)], 1e-5) << head << " " << d;
    }
    EXPECT_EQ(pools.value(slot, 0, 3), pools.key(slot, 0, 3));
  }
}

TEST_P(RopeTest, ImpossibleSizesAreRefused) {
  TestPools pools(1, 16, 1, 16, KvFormat::f32);
  Team team(1);
  QkvRows rows = {.qkv = nullptr,
                  .qkv_stride = 0,
                  .num_heads = 1,
                  .slots = nullptr,
                  .q = nullptr,
                  .q_stride = 0,
                  .pools = pools.view()};
  rows.rotary_dim = 18;
  EXPECT_THROW(rope_and_store(team, kernels_of(GetParam()), rows, 0), Error);
  rows.rotary_dim = 8;
  rows.rotary_begin = 10;
  EXPECT_THROW(rope_and_store(team, kernels_of(GetParam()), rows, 0), Error);
  rows.rotary_begin = 0;
  rows.rotary_dim = 0;
  rows.pools.head_dim = 12;
  EXPECT_THROW(rope_and_store(team, kernels_of(GetParam()), rows, 0), Error);
}

INSTANTIATE_TEST_SUITE_P(Isas, RopeTest, ::testing::ValuesIn(tested_isas()),
                         [](const auto& info) { return std::string(name_of(info.param)); });

}  // namespace
}  // namespace pippin::cpu
