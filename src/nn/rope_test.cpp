#include "nn/rope.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "pippin/error.h"

namespace pippin::nn {
namespace {

// Six digits of what mlx-lm 0.32.2 (models/rope_utils.py) computes.
void expect(const RopeOptions& options, const std::vector<float>& frequencies, float factor) {
  const auto rope = make_rope(options);
  ASSERT_EQ(rope.inverse_frequencies.size(), frequencies.size()) << options.type;
  for (std::size_t i = 0; i < frequencies.size(); ++i)
    EXPECT_NEAR(rope.inverse_frequencies[i], frequencies[i], 1e-5f * frequencies[i])
        << options.type << i;
  EXPECT_NEAR(rope.factor, factor, 1e-6f) << options.type;
  EXPECT_FALSE(rope.base) << "MLX's fused operation would take the plain frequencies";
}

RopeOptions options_of(int dims, const char* type, float factor) {
  RopeOptions o;
  o.dims = dims;
  o.type = type;
  o.factor = factor;
  return o;
}

TEST(Rope, FrequenciesEqualTheReference) {
  auto o = options_of(16, "llama3", 8);
  o.original_context = 64;
  expect(
      o,
      {1.0f, 0.244385f, 0.0130423f, 0.00395285f, 0.00125f, 0.000395285f, 0.000125f, 3.95285e-05f},
      1);
  o.type = "yarn";
  o.factor = 4;
  const std::vector<float> yarn = {1.0f,    0.237171f,    0.05f,    0.00790569f,
                                   0.0025f, 0.000790569f, 0.00025f, 7.90569e-05f};
  expect(o, yarn, 1.138629436f);
  o.beta_fast = 16;
  o.mscale_all_dim = 0.5f;
  expect(o, yarn, 1.064821625f);
  auto longrope = options_of(8, "longrope", 1);
  longrope.original_context = 64;
  longrope.max_context = 256;
  longrope.long_factors = {1, 1.5f, 2, 4};
  expect(longrope, {1.0f, 0.0666667f, 0.005f, 0.00025f}, 1.154700538f);
  auto proportional = options_of(16, "proportional", 2);
  proportional.rotated_share = 0.25f;
  expect(proportional, {0.5f, 0.158114f, 0, 0, 0, 0, 0, 0}, 1);
  expect(options_of(4, "linear", 4), {0.25f, 0.0025f}, 1);
}

// gpt-oss's way: the blend's ends are not rounded to whole indices. Here they are log(64 / (2 pi 2)) / log(1e4) * 8 =
// 1.414 and the same with a turn of 0.5, 2.618.
TEST(Rope, YarnMayBlendBetweenFrequencies) {
  auto o = options_of(16, "yarn", 4);
  o.original_context = 64;
  o.beta_fast = 2;
  o.beta_slow = 0.5f;
  o.truncate = false;
  const double low = 1.41394022, high = 2.61806020;
  const auto at = [&](int i) {
    const double plain = std::pow(10000.0, -i / 8.0);
    const double stretched = std::clamp((i - low) / (high - low), 0.0, 1.0);
    return plain * (1 - stretched) + plain / 4 * stretched;
  };
  const auto rope = make_rope(o);
  for (int i = 0; i < 8; ++i)
    EXPECT_NEAR(rope.inverse_frequencies[static_cast<std::size_t>(i)], at(i), 1e-6 * at(i)) << i;
  o.truncate = true;
  EXPECT_GT(std::abs(make_rope(o).inverse_frequencies[2] - rope.inverse_frequencies[2]), 0.0005f);
}

TEST(Rope, PlainKindsTakeTheFusedOperation) {
  for (const char* type : {"default", "dynamic"}) {
    auto o = options_of(4, type, 4);
    o.theta = 100;
    const auto rope = make_rope(o);
    EXPECT_EQ(rope.base, 100.0f);
    EXPECT_NEAR(rope.inverse_frequencies[1], 0.1f, 1e-7f);
  }
}

TEST(Rope, UnknownKindsAreRefusedByName) {
  try {
    make_rope(options_of(4, "spiral", 1));
    FAIL();
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find("spiral"), std::string::npos);
  }
}

}  // namespace
}  // namespace pippin::nn
