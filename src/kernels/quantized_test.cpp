#include <gtest/gtest.h>

#include <cstdint>
#include <tuple>

#include "kernels/ops.h"
#include "kernels/testing.h"

namespace pippin::kernels {
namespace {

using testing::max_abs_difference;
using testing::random_array;
using testing::to_vector;

// MLX packs values from the least significant bit on, across word boundaries where bits does not
// divide 32.
int unpack(const std::uint32_t* row, int index, int bits) {
  const int bit = index * bits;
  std::uint64_t words = row[bit / 32];
  if (bit % 32 + bits > 32) words |= static_cast<std::uint64_t>(row[bit / 32 + 1]) << 32;
  return static_cast<int>((words >> (bit % 32)) & ((1u << bits) - 1));
}

// The definition, in doubles.
std::vector<float> naive(const mx::array& x, const QuantizedWeight& w) {
  const int T = x.shape(0), K = x.shape(1), N = w.weight.shape(0), groups = K / w.group_size;
  const auto xs = to_vector(x), scales = to_vector(w.scales), biases = to_vector(*w.biases);
  std::vector<float> out;
  for (int t = 0; t < T; ++t)
    for (int n = 0; n < N; ++n) {
      double sum = 0;
      for (int k = 0; k < K; ++k) {
        const int g = n * groups + k / w.group_size;
        const int q = unpack(w.weight.data<std::uint32_t>() + n * w.weight.shape(1), k, w.bits);
        sum += xs[t * K + k] * (static_cast<double>(scales[g]) * q + biases[g]);
      }
      out.push_back(static_cast<float>(sum));
    }
  return out;
}

class QuantizedLinear : public ::testing::TestWithParam<std::tuple<int, int, int, int>> {};

TEST_P(QuantizedLinear, EqualsTheDefinition) {
  const auto [rows, bits, group_size, outputs] = GetParam();
  auto parts = mx::quantize(random_array({outputs, 256}, 1), group_size, bits);
  mx::eval(parts);
  const QuantizedWeight w{parts[0], parts[1], parts[2], group_size, bits};
  const auto x = random_array({rows, 256}, 2);
  // Sums of 256 products of order 1: float32 rounding stays well under 1e-4.
  EXPECT_LT(max_abs_difference(to_vector(quantized_linear(x, w)), naive(x, w)), 1e-4f);
}

// A row of one group: MLX's CUDA backend takes another kernel there.
TEST(QuantizedLinearNarrow, EqualsTheDefinition) {
  for (const int bits : {4, 8})
    for (const int group_size : {64, 128})
      for (const int rows : {1, 2, 5, 9, 17}) {
        auto parts = mx::quantize(random_array({128, group_size}, 3), group_size, bits);
        mx::eval(parts);
        const QuantizedWeight w{parts[0], parts[1], parts[2], group_size, bits};
        const auto x = random_array({rows, group_size}, 4);
        EXPECT_LT(max_abs_difference(to_vector(quantized_linear(x, w)), naive(x, w)), 1e-4f)
            << rows << " rows, " << bits << " bits, groups of " << group_size;
      }
}

std::string param_name(const ::testing::TestParamInfo<std::tuple<int, int, int, int>>& info) {
  const auto [rows, bits, group_size, outputs] = info.param;
  return "rows" + std::to_string(rows) + "_bits" + std::to_string(bits) + "_group" +
         std::to_string(group_size) + "_outputs" + std::to_string(outputs);
}

// 151 outputs: an output layer's size need not be a multiple of anything.
INSTANTIATE_TEST_SUITE_P(Shapes, QuantizedLinear,
                         ::testing::Combine(::testing::Values(1, 3, 4, 5, 9, 17),
                                            ::testing::Values(2, 3, 4, 5, 6, 8),
                                            ::testing::Values(32, 64, 128),
                                            ::testing::Values(48, 151)),
                         param_name);

}  // namespace
}  // namespace pippin::kernels
