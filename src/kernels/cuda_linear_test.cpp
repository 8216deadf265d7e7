// Runs on NVIDIA's GPUs; elsewhere it sees that the kernel takes nothing.
#include "kernels/cuda_linear.h"

#include <gtest/gtest.h>

#include "kernels/testing.h"

namespace pippin::kernels {
namespace {

using testing::max_abs_difference;
using testing::random_array;
using testing::to_vector;

bool on_nvidia() {
  return mx::default_device() == mx::Device::gpu &&
         mx::device_info().contains("compute_capability_major");
}

// More than a turn of its warps, and an odd number of chunks of columns.
constexpr int columns = 17 * 128;

// The same numbers expanded and multiplied in float32.
mx::array expanded_linear(const mx::array& x, const QuantizedWeight& w) {
  const auto wide = [](const mx::array& a) { return mx::astype(a, mx::float32); };
  const auto dense =
      mx::dequantize(w.weight, wide(w.scales), wide(*w.biases), w.group_size, w.bits);
  return mx::matmul(wide(x), mx::transpose(dense));
}

void expect_equals_expanded(int rows, int outputs, int bits, int group_size, mx::Dtype dtype) {
  if (!on_nvidia()) return;
  const auto parts = mx::quantize(random_array({outputs, columns}, 5), group_size, bits);
  const QuantizedWeight w{parts[0], mx::astype(parts[1], dtype), mx::astype(parts[2], dtype),
                          group_size, bits};
  const auto x = mx::astype(random_array({rows, columns}, 6), dtype);
  ASSERT_TRUE(few_rows_kernel_takes(x, w)) << rows;
  const auto y = few_rows_linear(x, w);
  ASSERT_EQ(y.dtype(), dtype);
  ASSERT_EQ(y.shape(), (mx::Shape{rows, outputs}));
  // Sums of 2,176 products are about 47 and at most 250, where half of bfloat16's last place is 0.5; of float16's 0.0625. TF32,
  // if MLX multiplies by it, rounds to 11 bits: 0.02.
  EXPECT_LT(max_abs_difference(to_vector(y), to_vector(expanded_linear(x, w))),
            dtype == mx::bfloat16 ? 0.6f : 0.1f)
      << rows << " rows, " << outputs << " outputs, " << bits << " bits, groups of " << group_size;
}

TEST(FewRowsLinear, EqualsTheExpandedProduct) {
  for (const int rows : {2, 8, 9, 17, 70}) expect_equals_expanded(rows, 48, 4, 64, mx::bfloat16);
  for (const int rows : {2, 16, 40, 128}) expect_equals_expanded(rows, 3072, 4, 64, mx::bfloat16);
  for (const int bits : {4, 8})
    for (const int group_size : {64, 128})
      for (const mx::Dtype dtype : {mx::bfloat16, mx::float16})
        expect_equals_expanded(5, 48, bits, group_size, dtype);
}

TEST(FewRowsLinear, AddsAResidual) {
  if (!on_nvidia()) return;
  for (const int rows : {1, 2, 9, 70}) {
    const auto parts =
        mx::quantize(mx::astype(random_array({96, columns}, 7), mx::bfloat16), 64, 4);
    const QuantizedWeight w{parts[0], parts[1], parts[2], 64, 4};
    const auto x = mx::astype(random_array({rows, columns}, 8), mx::bfloat16);
    const auto residual = mx::astype(random_array({rows, 96}, 9) * mx::array(100.0f), mx::bfloat16);
    ASSERT_TRUE(few_rows_kernel_takes(x, w, true));
    const auto wanted = expanded_linear(x, w) + mx::astype(residual, mx::float32);
    // Up to 550: half of bfloat16's last place is 2.
    EXPECT_LT(max_abs_difference(to_vector(few_rows_linear(x, w, residual)), to_vector(wanted)),
              2.1f)
        << rows;
  }
}

TEST(FewRowsLinear, ARowDoesNotDependOnTheOthers) {
  if (!on_nvidia()) return;
  const auto parts = mx::quantize(mx::astype(random_array({96, columns}, 7), mx::bfloat16), 64, 4);
  const QuantizedWeight w{parts[0], parts[1], parts[2], 64, 4};
  const auto x = mx::astype(random_array({40, columns}, 8), mx::bfloat16);
  const auto together = few_rows_linear(x, w);
  for (const int row : {0, 7, 33})
    EXPECT_EQ(to_vector(few_rows_linear(mx::slice(x, {row, 0}, {row + 1, columns}), w)),
              to_vector(mx::slice(together, {row, 0}, {row + 1, 96})))
        << row;
}

TEST(FewRowsLinear, TakesFewRowsOfHalfPrecision) {
  const auto parts = mx::quantize(mx::astype(random_array({48, 256}, 9), mx::bfloat16), 64, 4);
  const QuantizedWeight w{parts[0], parts[1], parts[2], 64, 4};
  EXPECT_EQ(few_rows_kernel_takes(mx::zeros({128, 256}, mx::bfloat16), w), on_nvidia());
  EXPECT_FALSE(few_rows_kernel_takes(mx::zeros({129, 256}, mx::bfloat16), w));
  EXPECT_FALSE(few_rows_kernel_takes(mx::zeros({1, 256}, mx::bfloat16), w));
  EXPECT_FALSE(few_rows_kernel_takes(mx::zeros({2, 256}, mx::float32), w));
}

}  // namespace
}  // namespace pippin::kernels
