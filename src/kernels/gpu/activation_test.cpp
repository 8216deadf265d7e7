#include "kernels/gpu/activation.h"

#include <gtest/gtest.h>

#include <cmath>

#include "kernels/gpu/testing.h"
#include "kernels/testing.h"

namespace pippin::kernels::gpu {
namespace {

using pippin::testing::random_array;
using pippin::testing::to_vector;

void check_gated(int rows, int width, mx::Dtype dtype, float bound) {
  const auto x = mx::astype(random_array({rows, 2 * width}, 1) * mx::array(4.0f), dtype);
  ASSERT_TRUE(gates(&testing::tested(), x));
  const auto got = to_vector(gated(testing::tested(), x)), in = to_vector(x);
  ASSERT_EQ(got.size(), static_cast<std::size_t>(rows * width));
  for (int row = 0; row < rows; ++row)
    for (int i = 0; i < width; ++i) {
      const double gate = in[row * 2 * width + i], up = in[row * 2 * width + width + i];
      const double wanted = gate / (1 + std::exp(-gate)) * up;
      ASSERT_NEAR(got[row * width + i], wanted, bound * (1 + std::abs(wanted)))
          << rows << ' ' << row << ' ' << i;
    }
}

TEST(Gated, EqualsTheDefinition) {
  for (const int rows : {1, 3})
    for (const int width : {4, 12, 1020, 1024, 3072}) {
      check_gated(rows, width, mx::float32, 2e-6f);
      check_gated(rows, width, mx::bfloat16, 4e-3f);
    }
}

TEST(Gated, LeavesOtherWidthsToOthers) {
  EXPECT_FALSE(gates(&testing::tested(), mx::zeros({4, 2 * 6})));
  EXPECT_FALSE(gates(nullptr, mx::zeros({4, 2 * 8})));
}

}  // namespace
}  // namespace pippin::kernels::gpu
