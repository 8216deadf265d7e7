#include "nn/layers.h"

#include <gtest/gtest.h>

#include "kernels/testing.h"
#include "nn/testing.h"

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

// Layers as they are, and as the CPU's kernels take them (exact, so that the same bound holds).
std::vector<Linear> packed(const std::vector<Linear>& parts) {
  const auto backend =
      std::make_shared<kernels::CpuBackend>(kernels::CpuOptions{2, /*exact_activations=*/true});
  std::vector<Linear> result;
  for (const auto& part : parts)
    result.emplace_back(part.weight().packed_for(backend), part.bias());
  return result;
}

void expect_joined_equals_parts(const std::vector<Linear>& parts) {
  const auto x = random_array({3, 64}, 9);
  std::vector<mx::array> outputs;
  for (const auto& part : parts) outputs.push_back(part(x));
  const auto wanted = to_vector(mx::concatenate(outputs, -1));
  EXPECT_LT(max_abs_difference(to_vector(JoinedLinear(parts)(x)), wanted), 1e-5f);
  EXPECT_LT(max_abs_difference(to_vector(JoinedLinear(packed(parts))(x)), wanted), 5e-5f);
}

TEST(JoinedLinear, EqualsItsPartsWhetherTheyMergeOrNot) {
  expect_joined_equals_parts({plain(8, 1), plain(24, 2), plain(4, 3)});
  expect_joined_equals_parts({quantized(8, 4, 1), quantized(24, 4, 2)});
  expect_joined_equals_parts({quantized(8, 4, 1), quantized(24, 8, 2), plain(4, 3)});
}

// The factor's columns begin within a wider array; rows are one and several tiles.
TEST(Linear, MultipliesByColumns) {
  for (const int rows : {1, 3, 30})
    for (const auto& layer : {plain(8, 1), plain(21, 2), quantized(24, 4, 1)}) {
      const auto x = random_array({rows, 64}, 9), factor = random_array({rows, 40}, 5);
      const int n = layer.weight().outputs();
      const auto wanted = kernels::activate(layer(x), Activation::gelu_tanh) *
                          mx::slice(factor, {0, 13}, {rows, 13 + n});
      const auto cpu = packed({layer}).front();
      for (const auto* each : {&layer, &cpu})
        EXPECT_LT(max_abs_difference(to_vector(each->times(x, Activation::gelu_tanh, {factor, 13})),
                                     to_vector(wanted)),
                  1e-4f);
    }
}

TEST(GatedLinear, EqualsItsDefinition) {
  const auto x = random_array({3, 64}, 9);
  for (const auto& [gate, up] : {std::pair{plain(8, 1), plain(8, 2)},
                                 {quantized(24, 4, 1), quantized(24, 4, 2)},
                                 {quantized(24, 4, 1), quantized(24, 8, 2)}}) {
    const auto g = gate(x), wanted = g * mx::sigmoid(g) * up(x);
    const auto cpu = packed({gate, up});
    EXPECT_LT(max_abs_difference(to_vector(GatedLinear(gate, up)(x)), to_vector(wanted)), 1e-4f);
    EXPECT_LT(max_abs_difference(to_vector(GatedLinear(cpu[0], cpu[1])(x)), to_vector(wanted)),
              2e-4f);
  }
}

TEST(GatedLinear, TakesItsActivationAndBiases) {
  const auto x = random_array({3, 64}, 3), a = random_array({8}, 5), b = random_array({8}, 6);
  for (const auto& [gate, up] :
       {std::pair{plain(8, 1), plain(8, 2)}, std::pair{quantized(8, 4, 1), quantized(8, 4, 2)},
        std::pair{plain(8, 1), quantized(8, 4, 2)}}) {
    const Linear g(gate.weight(), a), u(up.weight(), b);
    const auto wanted = kernels::activate(gate(x) + a, Activation::gelu_tanh) * (up(x) + b);
    const auto cpu = packed({g, u});
    for (const auto& [first, second] : {std::pair{g, u}, std::pair{cpu[0], cpu[1]}})
      EXPECT_LT(max_abs_difference(to_vector(GatedLinear(first, second, Activation::gelu_tanh)(x)),
                                   to_vector(wanted)),
                2e-4f);
  }
}

TEST(RmsNorm, AddsOneWhereAsked) {
  const testing::TempDir dir;
  const auto weight = random_array({8}, 1), x = random_array({3, 8}, 2);
  mx::save_safetensors((dir.path() / "model.safetensors").string(),
                       {{"a.weight", weight}, {"b.weight", weight + mx::array(1.0f)}});
  Checkpoint checkpoint(dir.path(), {}, [](const std::string& name) { return name; }, {});
  const auto ours = RmsNorm::load(checkpoint, "a", 8, 1e-5f, true)(x),
             wanted = RmsNorm::load(checkpoint, "b", 8, 1e-5f)(x);
  EXPECT_EQ(to_vector(ours), to_vector(wanted));
}

TEST(Linear, BiasActivationAndResidual) {
  const auto bias = random_array({8}, 2), x = random_array({3, 64}, 3),
             residual = random_array({3, 8}, 4);
  for (const auto& layer : {plain(8, 1), quantized(8, 4, 1)}) {
    const Linear biased(layer.weight(), bias), on_cpu = packed({biased}).front();
    const auto y = layer(x) + bias;
    for (const auto& ours : {biased, on_cpu}) {
      EXPECT_LT(
          max_abs_difference(to_vector(ours(x, Activation::silu)), to_vector(y * mx::sigmoid(y))),
          5e-5f);
      EXPECT_LT(max_abs_difference(to_vector(ours.add_to(residual, x)), to_vector(residual + y)),
                5e-5f);
    }
  }
}

TEST(Activations, EqualTheirDefinitions) {
  const auto x = random_array({100}, 4) * mx::array(5.0f);
  const auto xs = to_vector(x);
  const auto silu = to_vector(kernels::activate(x, Activation::silu)),
             erf = to_vector(kernels::activate(x, Activation::gelu)),
             tanh = to_vector(kernels::activate(x, Activation::gelu_tanh));
  const auto squared = to_vector(kernels::activate(x, Activation::relu_squared));
  const auto clipped = to_vector(kernels::activate(x, Activation::clipped_swiglu)),
             partnered = to_vector(kernels::gate_times(x, x, Activation::clipped_swiglu));
  for (std::size_t i = 0; i < xs.size(); ++i) {
    const double v = xs[i];
    EXPECT_NEAR(squared[i], v > 0 ? v * v : 0, 1e-5);
    EXPECT_NEAR(clipped[i], std::min(v, 7.0) / (1 + std::exp(-1.702 * std::min(v, 7.0))), 1e-4);
    EXPECT_NEAR(partnered[i], clipped[i] * (std::clamp(v, -7.0, 7.0) + 1), 1e-4);
    EXPECT_NEAR(silu[i], v / (1 + std::exp(-v)), 1e-5);
    EXPECT_NEAR(erf[i], v * 0.5 * (1 + std::erf(v / std::sqrt(2.0))), 1e-5);
    EXPECT_NEAR(tanh[i],
                0.5 * v * (1 + std::tanh(std::sqrt(2 / M_PI) * (v + 0.044715 * v * v * v))), 1e-5);
  }
}

}  // namespace
}  // namespace pippin::nn
