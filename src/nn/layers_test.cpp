#include "nn/layers.h"

#include <gtest/gtest.h>

#include "kernels/testing.h"

namespace pippin::nn {
namespace {

using testing::max_abs_difference;
using testing::random_array;
using testing::to_vector;

Linear plain(int out, std::uint64_t seed) {
  return Linear(random_array({out, 64}, seed), std::nullopt);
}

Linear quantized(int out, int bits, std::uint64_t seed) {
  auto parts = mx::quantize(random_array({out, 64}, seed), 32, bits);
  mx::eval(parts);
  return Linear(kernels::QuantizedWeight{parts[0], parts[1], parts[2], 32, bits}, std::nullopt);
}

void expect_fused_equals_parts(const std::vector<Linear>& parts) {
  const auto x = random_array({3, 64}, 9);
  const auto outputs = FusedLinear(parts)(x);
  ASSERT_EQ(outputs.size(), parts.size());
  for (std::size_t i = 0; i < parts.size(); ++i)
    EXPECT_LT(max_abs_difference(to_vector(outputs[i]), to_vector(parts[i](x))), 1e-5f);
}

TEST(FusedLinear, EqualsItsPartsWhetherTheyMergeOrNot) {
  EXPECT_TRUE(Linear::concatenate({plain(8, 1), plain(24, 2)}));
  EXPECT_TRUE(Linear::concatenate({quantized(8, 4, 1), quantized(24, 4, 2)}));
  EXPECT_FALSE(Linear::concatenate({quantized(8, 4, 1), quantized(24, 8, 2)}));
  EXPECT_FALSE(Linear::concatenate({quantized(8, 4, 1), plain(24, 2)}));
  expect_fused_equals_parts({plain(8, 1), plain(24, 2), plain(4, 3)});
  expect_fused_equals_parts({quantized(8, 4, 1), quantized(24, 4, 2)});
  expect_fused_equals_parts({quantized(8, 4, 1), quantized(24, 8, 2), plain(4, 3)});
}

TEST(Linear, AddsItsBias) {
  const auto weight = random_array({8, 64}, 1), bias = random_array({8}, 2),
             x = random_array({3, 64}, 3);
  const auto wanted = mx::matmul(x, mx::transpose(weight)) + bias;
  EXPECT_LT(max_abs_difference(to_vector(Linear(weight, bias)(x)), to_vector(wanted)), 1e-5f);
}

TEST(Activations, EqualTheirDefinitions) {
  const auto x = random_array({100}, 4), y = random_array({100}, 5);
  const auto xs = to_vector(x), ys = to_vector(y);
  const auto silu_up = to_vector(swiglu(x, y)), erf = to_vector(gelu(x)),
             tanh = to_vector(gelu_tanh(x));
  for (std::size_t i = 0; i < xs.size(); ++i) {
    const double v = xs[i];
    EXPECT_NEAR(silu_up[i], v / (1 + std::exp(-v)) * ys[i], 1e-5);
    EXPECT_NEAR(erf[i], v * 0.5 * (1 + std::erf(v / std::sqrt(2.0))), 1e-5);
    EXPECT_NEAR(tanh[i],
                0.5 * v * (1 + std::tanh(std::sqrt(2 / M_PI) * (v + 0.044715 * v * v * v))), 1e-5);
  }
}

}  // namespace
}  // namespace pippin::nn
