#include "kernels/gpu/tokens.h"

#include <gtest/gtest.h>

#include <cmath>

#include "kernels/gpu/testing.h"
#include "kernels/testing.h"

namespace pippin::kernels::gpu {
namespace {

using pippin::testing::random_array;
using pippin::testing::to_vector;

std::vector<int> ints(mx::array x) {
  x.eval();
  return {x.data<int>(), x.data<int>() + x.size()};
}

TEST(Argmax, IsTheFirstOfTheLargest) {
  for (const int width : {8, 300, 4096, 4097, 9001}) {
    auto x = random_array({3, width}, 5);
    x = mx::where(mx::equal(mx::arange(width), mx::array(width - 2)), mx::array(9.0f), x);
    x = mx::where(mx::equal(mx::arange(width), mx::array(width / 3)), mx::array(9.0f), x);
    ASSERT_TRUE(finds_largest(&testing::tested(), x));
    EXPECT_EQ(ints(argmax(testing::tested(), x)), std::vector<int>(3, width / 3)) << width;
  }
}

TEST(Argmax, OfACastIsItsSources) {
  const auto x = mx::astype(random_array({2, 5000}, 6), mx::bfloat16);
  const auto wanted = ints(mx::astype(mx::argmax(x, -1), mx::int32));
  EXPECT_EQ(ints(argmax(testing::tested(), mx::astype(x, mx::float32))), wanted);
}

TEST(Argmax, FindsMinusInfinityAlone) {
  const auto x = mx::full({1, 16}, mx::array(-INFINITY));
  const auto got = ints(argmax(testing::tested(), x));
  EXPECT_EQ(got, std::vector<int>{0});
}

TEST(RopeAngles, EqualTheDefinition) {
  const mx::array positions({0, 5, 40000, 1, 2, 3}, {2, 3}, mx::int32);
  const std::vector<float> frequencies = {1.0f, 0.5f, 0.01f};
  const std::vector<int> axes = {0, 1, 0};
  const auto made = rope_angles(testing::tested(), positions, frequencies, axes, 1.5f);
  EXPECT_EQ(made.cosines.shape(), (mx::Shape{3, 1, 3}));
  const auto cosines = to_vector(made.cosines), sines = to_vector(made.sines);
  const float of[2][3] = {{0, 5, 40000}, {1, 2, 3}};
  for (int row = 0; row < 3; ++row)
    for (int i = 0; i < 3; ++i) {
      const double angle = of[axes[i]][row] * frequencies[i];
      EXPECT_NEAR(cosines[row * 3 + i], 1.5 * std::cos(angle), 1e-5);
      EXPECT_NEAR(sines[row * 3 + i], 1.5 * std::sin(angle), 1e-5);
    }
}

TEST(PickTokens, TakesWhatTheHostKnowsOrTheStepBeforeChose) {
  const mx::array known({10, 11, 12, 13, 0, 0, 0, 0}, mx::int32);
  const mx::array from({-1, 2, -1, 0, 0, 0, 0, 0}, mx::int32);
  const mx::array sampled({20, 21, 22, 23, 24, 25, 26, 27}, mx::int32);
  EXPECT_EQ(ints(pick_tokens(testing::tested(), known, from, sampled, 4)),
            (std::vector<int>{10, 22, 12, 20}));
}

}  // namespace
}  // namespace pippin::kernels::gpu
