// The CPU's kernels against MLX's operations.
#include "kernels/experts.h"

#include <gtest/gtest.h>

#include <cmath>

#include "kernels/testing.h"

namespace pippin::kernels {
namespace {

using pippin::testing::max_abs_difference;
using pippin::testing::to_vector;

constexpr int num_experts = 7, hidden = 64, width = 96;

CpuBackendPtr exact_backend() {
  return std::make_shared<CpuBackend>(CpuOptions{.threads = 2, .exact_activations = true});
}

TEST(Route, BothWaysChooseAlike) {
  mx::random::seed(3);
  const auto logits = mx::random::normal({29, 8}, mx::float32);
  const auto correction = mx::random::normal({8}, mx::float32);
  for (const auto scores :
       {RouterScores::softmax, RouterScores::softmax_of_chosen, RouterScores::sigmoid})
    for (const bool normalize : {false, true})
      for (const int groups : {1, 4}) {
        RouterOptions o{.num_experts = 8,
                        .top_k = 3,
                        .scores = scores,
                        .normalize = normalize,
                        .scale = 1.5f,
                        .groups = groups,
                        .kept_groups = groups == 1 ? 1 : 2};
        o.group_best = normalize ? 2 : 1;
        const auto whole = [](const Choice& choice) {
          return mx::put_along_axis(mx::zeros({29, 8}, mx::float32), choice.experts, choice.weights,
                                    1);
        };
        const auto ours = route(logits, o, correction, exact_backend());
        const auto theirs = route(logits, o, correction, nullptr);
        EXPECT_LT(max_abs_difference(to_vector(whole(ours)), to_vector(whole(theirs))), 1e-5f)
            << static_cast<int>(scores) << normalize << groups;
        const auto scaled_ours = route(logits, o, {}, exact_backend(), correction),
                   scaled_theirs = route(logits, o, {}, nullptr, correction);
        EXPECT_LT(
            max_abs_difference(to_vector(whole(scaled_ours)), to_vector(whole(scaled_theirs))),
            1e-5f);
      }
}

mx::array random_bank(int outputs, int inputs) {
  return mx::random::normal({num_experts, outputs, inputs}, mx::float32, 0,
                            1 / std::sqrt(static_cast<float>(inputs)));
}

Bank quantized(const mx::array& bank, int bits) {
  const auto parts = mx::quantize(bank, 32, bits);
  return QuantizedWeight{parts[0], parts[1], parts[2], 32, bits};
}

// Few and many tokens: MLX's operations sort from 64 pairs on.
TEST(Experts, BothWaysAgree) {
  mx::random::seed(4);
  const auto gate = random_bank(width, hidden), up = random_bank(width, hidden),
             down = random_bank(hidden, width);
  const auto bias = mx::random::normal({num_experts, width}, mx::float32),
             down_bias = mx::random::normal({num_experts, hidden}, mx::float32);
  for (const int bits : {0, 4, 6})
    for (const int rows : {1, 5, 40}) {
      const auto as = [&](const mx::array& bank) {
        return bits ? quantized(bank, bits) : Bank(bank);
      };
      ExpertWeights w{as(gate), as(up), as(down), Activation::silu, bias, bias, down_bias};
      const auto x = mx::random::normal({rows, hidden}, mx::float32),
                 residual = mx::random::normal({rows, hidden}, mx::float32);
      const auto choice = route(mx::random::normal({rows, num_experts}, mx::float32),
                                {.num_experts = num_experts, .top_k = 3}, {}, nullptr);
      const auto wanted = experts(x, choice, w, residual);
      const auto backend = exact_backend();
      w.gate = w.gate.packed_for(backend);
      w.up = w.up->packed_for(backend);
      w.down = w.down.packed_for(backend);
      const auto got = experts(x, choice, w, residual);
      EXPECT_LT(max_abs_difference(to_vector(got), to_vector(wanted)), 2e-5f)
          << bits << " " << rows;
    }
}

// One product before the activation, as Nemotron has it.
TEST(Experts, BothWaysAgreeWithoutAGate) {
  mx::random::seed(6);
  ExpertWeights w{
      random_bank(width, hidden), {}, random_bank(hidden, width), Activation::relu_squared};
  const auto x = mx::random::normal({9, hidden}, mx::float32);
  const auto choice = route(mx::random::normal({9, num_experts}, mx::float32),
                            {.num_experts = num_experts, .top_k = 3}, {}, nullptr);
  const auto wanted = experts(x, choice, w);
  const auto backend = exact_backend();
  w.gate = w.gate.packed_for(backend);
  w.down = w.down.packed_for(backend);
  EXPECT_LT(max_abs_difference(to_vector(experts(x, choice, w)), to_vector(wanted)), 2e-5f);
}

// Banks of floating-point codes, with gpt-oss's gate.
TEST(Experts, BothWaysAgreeOnEveryScheme) {
  mx::random::seed(8);
  const auto gate = random_bank(width, hidden), up = random_bank(width, hidden),
             down = random_bank(hidden, width);
  const auto scales = mx::random::uniform({num_experts}, mx::float32) + mx::array(1.0f);
  for (const auto scheme : {Scheme::mxfp4, Scheme::nvfp4, Scheme::mxfp8})
    for (const bool scaled : {false, true}) {
      if (scaled && scheme != Scheme::nvfp4) continue;
      const int group = scheme == Scheme::nvfp4 ? 16 : 32, bits = scheme == Scheme::mxfp8 ? 8 : 4;
      const auto as = [&](const mx::array& bank) -> Bank {
        const auto parts = mx::quantize(bank, group, bits, name_of(scheme));
        QuantizedWeight w{parts[0], parts[1], {}, group, bits, scheme};
        if (scaled) w.global_scale = scales * mx::array(448.0f * 6.0f);
        return w;
      };
      ExpertWeights w{as(gate), as(up), as(down), Activation::clipped_swiglu};
      const auto x = mx::random::normal({5, hidden}, mx::float32);
      const auto choice = route(mx::random::normal({5, num_experts}, mx::float32),
                                {.num_experts = num_experts, .top_k = 2}, {}, nullptr);
      const auto wanted = experts(x, choice, w);
      const auto backend = exact_backend();
      w.gate = w.gate.packed_for(backend);
      w.up = w.up->packed_for(backend);
      w.down = w.down.packed_for(backend);
      EXPECT_LT(max_abs_difference(to_vector(experts(x, choice, w)), to_vector(wanted)), 1e-4f)
          << name_of(scheme) << scaled;
    }
}

TEST(Experts, AStackOfMatricesIsABank) {
  mx::random::seed(5);
  const auto bank = random_bank(width, hidden);
  std::vector<Weight> matrices;
  for (int e = 0; e < num_experts; ++e) {
    const auto parts = mx::quantize(mx::take(bank, e, 0), 32, 4);
    matrices.push_back(QuantizedWeight{parts[0], parts[1], parts[2], 32, 4});
  }
  const auto whole = quantized(bank, 4), stack = Bank::stack(matrices, nullptr);
  EXPECT_TRUE(mx::array_equal(whole.quantized()->weight, stack.quantized()->weight).item<bool>());
  const auto backend = exact_backend();
  const auto packed = Bank::stack(matrices, backend).packed();
  const auto direct = whole.packed_for(backend).packed();
  std::vector<float> one(hidden), other(hidden);
  for (std::size_t e = 0; e < num_experts; ++e) {
    packed->matrices[e].row(width - 1, one.data());
    direct->matrices[e].row(width - 1, other.data());
    EXPECT_EQ(one, other);
  }
}

TEST(AddGated, BothWaysAgree) {
  mx::random::seed(6);
  const auto y = mx::random::normal({5, hidden}, mx::float32),
             gate = mx::random::normal({5, 1}, mx::float32);
  for (const std::optional<mx::array>& residual :
       {std::optional<mx::array>(), std::optional(mx::random::normal({5, hidden}, mx::float32))})
    EXPECT_LT(max_abs_difference(to_vector(add_gated(residual, y, gate, exact_backend())),
                                 to_vector(add_gated(residual, y, gate, nullptr))),
              1e-6f);
}

}  // namespace
}  // namespace pippin::kernels
