#include "kernels/gpu/products.h"

#include <gtest/gtest.h>

#include <cmath>

#include "kernels/gpu/testing.h"
#include "kernels/testing.h"

namespace pippin::kernels::gpu {
namespace {

using pippin::testing::random_array;
using pippin::testing::to_vector;

constexpr float eps = 1e-6f;

Matrix quantized(int outputs, int inputs, int bits, int group_size, mx::Dtype dtype) {
  auto parts = mx::quantize(random_array({outputs, inputs}, 1), group_size, bits);
  Matrix w{parts[0], mx::contiguous(mx::astype(parts[1], dtype)),
           mx::contiguous(mx::astype(parts[2], dtype)), group_size, bits};
  mx::eval(w.weight, *w.scales, *w.biases);
  return w;
}

Matrix plain(int outputs, int inputs, mx::Dtype dtype) {
  auto weight = mx::astype(random_array({outputs, inputs}, 1), dtype);
  weight.eval();
  return {weight};
}

// The numbers of w, in float32.
std::vector<float> numbers_of(const Matrix& w) {
  if (w.bits == 0) return to_vector(w.weight);
  return to_vector(mx::dequantize(w.weight, mx::astype(*w.scales, mx::float32),
                                  mx::astype(*w.biases, mx::float32), w.group_size, w.bits));
}

// In doubles.
std::vector<double> naive(const std::vector<float>& x, int rows, const Matrix& w) {
  const auto weights = numbers_of(w);
  const auto inputs = x.size() / static_cast<std::size_t>(rows),
             outputs = static_cast<std::size_t>(w.outputs());
  std::vector<double> out;
  for (std::size_t row = 0; row < static_cast<std::size_t>(rows); ++row)
    for (std::size_t n = 0; n < outputs; ++n) {
      double sum = 0;
      for (std::size_t k = 0; k < inputs; ++k)
        sum += static_cast<double>(x[row * inputs + k]) * weights[n * inputs + k];
      out.push_back(sum);
    }
  return out;
}

void expect_near(const mx::array& got, const std::vector<double>& wanted, double bound,
                 const std::string& what) {
  const auto numbers = to_vector(got);
  ASSERT_EQ(numbers.size(), wanted.size()) << what;
  double scale = 0;
  for (const double x : wanted) scale = std::max(scale, std::abs(x));
  for (std::size_t i = 0; i < wanted.size(); ++i)
    ASSERT_NEAR(numbers[i], wanted[i], bound * scale) << what << " at " << i;
}

double bound_of(mx::Dtype dtype) { return dtype == mx::float32 ? 2e-6 : 6e-3; }

mx::array input(int rows, int inputs, mx::Dtype dtype) {
  auto x = mx::astype(random_array({rows, inputs}, 2), dtype);
  x.eval();
  return x;
}

void check_product(int rows, const Matrix& w, int inputs, mx::Dtype dtype) {
  const auto what = std::to_string(rows) + " rows, " + std::to_string(w.outputs()) + " x " +
                    std::to_string(inputs) + ", " + std::to_string(w.bits) + " bits";
  const auto x = input(rows, inputs, dtype);
  ASSERT_TRUE(multiplies(&testing::tested(), x, w)) << what;
  const auto wanted = naive(to_vector(x), rows, w);
  expect_near(product(testing::tested(), x, w), wanted, bound_of(dtype), what);
  const auto residual = input(rows, w.outputs(), dtype);
  auto sum = wanted;
  const auto more = to_vector(residual);
  for (std::size_t i = 0; i < sum.size(); ++i) sum[i] += more[i];
  expect_near(product(testing::tested(), x, w, residual), sum, bound_of(dtype), what + " + rest");
}

TEST(Product, EqualsTheDefinition) {
  for (const int rows : {1, 2, 3, 4})
    for (const int bits : {4, 8})
      check_product(rows, quantized(24, 1152, bits, 64, mx::bfloat16), 1152, mx::bfloat16);
  for (const int group : {32, 64, 128}) {
    check_product(1, quantized(9, 128, 4, group, mx::float32), 128, mx::float32);
    check_product(2, quantized(8, 256, 8, group, mx::float32), 256, mx::float32);
  }
  check_product(1, quantized(17, 2176, 4, 64, mx::float16), 2176, mx::float16);
}

TEST(Product, OfPlainMatricesEqualsTheDefinition) {
  for (const int rows : {1, 2, 4}) {
    check_product(rows, plain(19, 328, mx::float32), 328, mx::float32);
    check_product(rows, plain(24, 264, mx::bfloat16), 264, mx::bfloat16);
  }
}

// Two outputs a warp; inputs that don't fit shared memory.
TEST(Product, OfLargeMatricesEqualsTheDefinition) {
  check_product(1, quantized(2056, 64, 4, 64, mx::float32), 64, mx::float32);
  check_product(4, quantized(8, 4096, 4, 64, mx::bfloat16), 4096, mx::bfloat16);
}

TEST(Product, LeavesOthersAlone) {
  const auto* tested = &testing::tested();
  const auto w = quantized(16, 128, 4, 64, mx::float32);
  EXPECT_FALSE(multiplies(tested, mx::zeros({5, 128}), w));
  EXPECT_FALSE(multiplies(tested, mx::zeros({1, 128}, mx::bfloat16), w));
  EXPECT_FALSE(multiplies(nullptr, mx::zeros({1, 128}), w));
  EXPECT_FALSE(multiplies(tested, mx::zeros({1, 128}), quantized(16, 128, 5, 64, mx::float32)));
}

TEST(RmsNorm, EqualsTheDefinition) {
  for (const auto dtype : {mx::float32, mx::bfloat16})
    for (const int width : {8, 136, 1000}) {
      const auto x = input(3, width, dtype), weight = mx::reshape(input(1, width, dtype), {width});
      ASSERT_TRUE(norms(&testing::tested(), x, weight));
      const auto xs = to_vector(x), ws = to_vector(weight);
      std::vector<double> wanted;
      for (int row = 0; row < 3; ++row) {
        double squares = 0;
        for (int i = 0; i < width; ++i)
          squares += static_cast<double>(xs[row * width + i]) * xs[row * width + i];
        for (int i = 0; i < width; ++i)
          wanted.push_back(xs[row * width + i] / std::sqrt(squares / width + eps) * ws[i]);
      }
      expect_near(rms_norm(testing::tested(), x, weight, eps), wanted, bound_of(dtype), "norm");
    }
}

TEST(Embed, TakesRows) {
  const mx::array ids({3, 0, 4}, mx::int32);
  for (const auto& table : {quantized(5, 192, 4, 64, mx::float32),
                            quantized(5, 192, 8, 32, mx::float32), plain(5, 192, mx::float32)}) {
    ASSERT_TRUE(embeds(&testing::tested(), ids, table, mx::float32));
    const auto numbers = numbers_of(table);
    std::vector<double> wanted;
    for (const int id : {3, 0, 4})
      wanted.insert(wanted.end(), numbers.begin() + id * 192, numbers.begin() + id * 192 + 192);
    expect_near(embed(testing::tested(), ids, table, mx::float32), wanted, 1e-6, "embedding");
  }
}

}  // namespace
}  // namespace pippin::kernels::gpu
