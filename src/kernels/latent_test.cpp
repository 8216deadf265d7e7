// Against the definitions, by MLX's operations and by the CPU's kernels.
#include "kernels/latent.h"

#include <gtest/gtest.h>

#include <cmath>

#include "kernels/testing.h"

namespace pippin::kernels {
namespace {

using pippin::testing::max_abs_difference;
using pippin::testing::random_array;
using pippin::testing::to_vector;

CpuBackendPtr exact_backend() {
  return std::make_shared<CpuBackend>(CpuOptions{.threads = 2, .exact_activations = true});
}

// Each head's matrix times its rows: x [T, H, in], matrices [H, out, in] -> [T, H, out].
std::vector<float> products(const std::vector<float>& x, const std::vector<float>& matrices,
                            int rows, int heads, int in, int out) {
  std::vector<float> y;
  for (int t = 0; t < rows; ++t)
    for (int h = 0; h < heads; ++h)
      for (int n = 0; n < out; ++n) {
        double sum = 0;
        for (int k = 0; k < in; ++k)
          sum += static_cast<double>(x[static_cast<std::size_t>((t * heads + h) * in + k)]) *
                 static_cast<double>(matrices[static_cast<std::size_t>((h * out + n) * in + k)]);
        y.push_back(static_cast<float>(sum));
      }
  return y;
}

Bank quantized(const mx::array& bank) {
  const auto parts = mx::quantize(bank, 32, 8);
  return QuantizedWeight{parts[0], parts[1], parts[2], 32, 8};
}

TEST(Heads, AreMultipliedByTheirOwnMatrices) {
  const auto backend = exact_backend();
  const int heads = 3, in = 32, out = 20;
  const auto matrices = random_array({heads, out, in}, 1);
  const auto codes = quantized(matrices);
  const auto expanded = dequantized(*codes.quantized(), mx::float32);
  for (const int rows : {1, 5, 40}) {
    const auto x = random_array({rows, heads * in}, 2);
    for (const auto& [bank, numbers] :
         {std::pair{Bank(matrices), matrices}, std::pair{codes, expanded}}) {
      const auto wanted = products(to_vector(x), to_vector(numbers), rows, heads, in, out);
      for (const auto& way : {bank, bank.packed_for(backend)}) {
        const auto y = multiply_heads(x, way);
        EXPECT_EQ(y.shape(), mx::Shape({rows, heads * out}));
        EXPECT_LT(max_abs_difference(to_vector(y), wanted), 2e-4f) << rows;
      }
    }
  }
}

TEST(LatentRows, AreAbsorbedQueriesAndTheKey) {
  const int heads = 3, rest = 12, latent = 20, turned = 4, key = latent + turned;
  const auto absorb = random_array({heads, latent, rest}, 1), norm = random_array({latent}, 2);
  const Bank bank(absorb);
  for (const int rows : {1, 7}) {
    const auto queries = random_array({rows, heads * (rest + turned)}, 3),
               latents = random_array({rows, key}, 4);
    const auto parts = mx::split(mx::reshape(queries, {rows, heads, -1}), mx::Shape{rest}, -1);
    const auto first = products(to_vector(parts[0]), to_vector(absorb), rows, heads, rest, latent);
    const auto last = to_vector(parts[1]), keys = to_vector(latents), weights = to_vector(norm);
    std::vector<float> wanted;
    for (int t = 0; t < rows; ++t) {
      for (int h = t * heads; h < (t + 1) * heads; ++h) {
        wanted.insert(wanted.end(), first.begin() + h * latent, first.begin() + (h + 1) * latent);
        wanted.insert(wanted.end(), last.begin() + h * turned, last.begin() + (h + 1) * turned);
      }
      const float* at = keys.data() + t * key;
      double squares = 0;
      for (int d = 0; d < latent; ++d)
        squares += static_cast<double>(at[d]) * static_cast<double>(at[d]);
      const double factor = 1 / std::sqrt(squares / latent + 1e-3);
      for (int d = 0; d < key; ++d)
        wanted.push_back(d < latent ? static_cast<float>(at[d] * factor) *
                                          weights[static_cast<std::size_t>(d)]
                                    : at[d]);
    }
    for (const auto& way : {bank, bank.packed_for(exact_backend())}) {
      const auto got = to_vector(latent_rows({queries, latents, way, norm, 1e-3f}));
      EXPECT_LT(max_abs_difference(got, wanted), 1e-4f) << rows;
    }
  }
}

}  // namespace
}  // namespace pippin::kernels
