#include "nn/recurrent.h"

#include <gtest/gtest.h>

#include "kernels/testing.h"

namespace pippin::nn {
namespace {

using kernels::StateRows;
using pippin::testing::max_abs_difference;
using pippin::testing::to_vector;

// A chunk of slot 0 with a snapshot in its middle, decode rows of slots 2, 1 and 3 (with a snapshot), and two rows of slot 4.
const std::vector<StateRows> parts = {{0, 0, 4, 6}, {0, 4, 3},     {2, 7, 1}, {1, 8, 1},
                                      {3, 9, 1, 7}, {4, 10, 1, 5}, {4, 11, 1}};
constexpr int num_rows = 12, num_slots = 8, width = 20;

TEST(Groups, JoinDecodeRowsOfDistinctSlots) {
  std::vector<std::size_t> sizes;
  for (const auto& group : groups_of(parts)) sizes.push_back(group.size());
  EXPECT_EQ(sizes, (std::vector<std::size_t>{1, 1, 4, 1}));
}

kernels::ShortConv conv_of(int taps, bool gated) {
  kernels::ShortConv conv{mx::random::normal({taps, width})};
  conv.bias = mx::random::normal({width});
  conv.gated = gated;
  conv.silu = !gated;
  return conv;
}

// MLX's operations and the CPU's kernels give the same rows, states and snapshots.
TEST(ShortConvolution, IsTheSameByBothWays) {
  mx::random::seed(1);
  const auto device = mx::default_device();
  mx::set_default_device(mx::Device::cpu);
  kernels::CpuBackend backend({.threads = 2});
  for (const bool gated : {false, true})
    for (const int taps : {2, 3, 4}) {
      const auto conv = conv_of(taps, gated);
      const auto x = mx::random::normal({num_rows, gated ? 3 * width : width});
      const std::vector<LayerState> layers = {
          RecurrentState{{{"conv", {taps - 1, width}, mx::float32}}}};
      std::vector<int> all_slots;
      for (int i = 0; i < num_slots; ++i) all_slots.push_back(i);
      const auto start = mx::random::normal({num_slots, taps - 1, width});
      ModelState by_mlx(layers, {1, 16, num_slots}, {}),
          by_cpu(layers, {1, 16, num_slots}, {}, true);
      for (auto* state : {&by_mlx, &by_cpu}) state->recurrent(0).write(0, all_slots, start);

      const auto wanted =
          by_groups(x, parts, by_mlx.recurrent(0), 1, [&](const auto& rows, auto& states) {
            auto [y, state] = kernels::short_conv_rows(rows, states[0], conv);
            states[0] = state;
            return y;
          });
      const auto got = kernels::short_conv(x, conv, parts, by_cpu.recurrent(0).pool(0), backend);
      EXPECT_LT(max_abs_difference(to_vector(got), to_vector(wanted)), 1e-5f) << taps << gated;
      EXPECT_LT(max_abs_difference(to_vector(by_cpu.recurrent(0).pool(0)),
                                   to_vector(by_mlx.recurrent(0).pool(0))),
                1e-6f)
          << taps << gated;
    }
  mx::set_default_device(device);
}

// The kernels' states lie transposed to MLX's.
TEST(GatedDeltaRule, IsTheSameByBothWays) {
  mx::random::seed(2);
  const auto device = mx::default_device();
  mx::set_default_device(mx::Device::cpu);
  kernels::CpuBackend backend({.threads = 2});
  constexpr int Hk = 2, Hv = 6, Dk = 12, Dv = 20;
  const auto key = [&] {
    return mx::fast::rms_norm(mx::random::normal({num_rows, Hk, Dk}), std::nullopt, 1e-6f) *
           mx::array(0.28f);
  };
  const kernels::GatedDelta rows{key(), key(), mx::random::normal({num_rows, Hv, Dv}),
                                 mx::random::uniform(0.5f, 1.0f, {num_rows, Hv}),
                                 mx::random::uniform(0.0f, 1.0f, {num_rows, Hv})};
  const std::vector<LayerState> as_mlx = {RecurrentState{{{"delta", {Hv, Dv, Dk}, mx::float32}}}},
                                as_cpu = {RecurrentState{{{"delta", {Hv, Dk, Dv}, mx::float32}}}};
  std::vector<int> all_slots;
  for (int i = 0; i < num_slots; ++i) all_slots.push_back(i);
  const auto start = mx::random::normal({num_slots, Hv, Dv, Dk});
  ModelState by_mlx(as_mlx, {1, 16, num_slots}, {}), by_cpu(as_cpu, {1, 16, num_slots}, {}, true);
  by_mlx.recurrent(0).write(0, all_slots, start);
  by_cpu.recurrent(0).write(0, all_slots, mx::contiguous(mx::swapaxes(start, -1, -2)));

  const auto flat = [&](const mx::array& x) { return mx::reshape(x, {num_rows, -1}); };
  const auto joined =
      mx::concatenate({flat(rows.q), flat(rows.k), flat(rows.v), rows.decay, rows.beta}, 1);
  const auto wanted =
      by_groups(joined, parts, by_mlx.recurrent(0), 1, [&](const mx::array& x, auto& states) {
        const int B = x.shape(0), R = x.shape(1);
        int at = 0;
        const auto next = [&](int heads, int dim) {
          const auto part = mx::slice(x, {0, 0, at}, {B, R, at + heads * dim});
          at += heads * dim;
          return dim == 1 ? part : mx::reshape(part, {B, R, heads, dim});
        };
        const auto q = next(Hk, Dk), k = next(Hk, Dk), v = next(Hv, Dv), g = next(Hv, 1),
                   b = next(Hv, 1);
        auto results = mx::fast::gated_delta_update(q, k, v, g, b, states[0]);
        states[0] = results[1];
        return results[0];
      });
  const auto got = kernels::gated_delta(rows, parts, by_cpu.recurrent(0).pool(0), backend);
  EXPECT_LT(max_abs_difference(to_vector(flat(got)), to_vector(wanted)), 1e-4f);
  EXPECT_LT(max_abs_difference(
                to_vector(mx::contiguous(mx::swapaxes(by_cpu.recurrent(0).pool(0), -1, -2))),
                to_vector(by_mlx.recurrent(0).pool(0))),
            1e-4f);
  mx::set_default_device(device);
}

// Also over the 64 rows that MLX's operations take at once.
TEST(StateScan, IsTheSameByBothWays) {
  mx::random::seed(3);
  const auto device = mx::default_device();
  mx::set_default_device(mx::Device::cpu);
  kernels::CpuBackend backend({.threads = 2});
  constexpr int H = 6, G = 2, Dh = 20, N = 12, inner = H * Dh + 2 * G * N;
  const auto positive = mx::random::uniform(0.2f, 1.5f, {H});
  const kernels::StateScan scan{
      H, G, Dh, N, mx::random::normal({H}), positive, mx::random::normal({H}), 0.01f, 1.5f};
  const std::vector<LayerState> layers = {RecurrentState{{{"scan", {H, N, Dh}, mx::float32}}}};
  std::vector<StateRows> long_parts = parts;
  long_parts.push_back({1, num_rows, 150, 3});
  const int count = num_rows + 150;
  const auto all = mx::random::normal({count, inner + H});
  std::vector<int> all_slots;
  for (int i = 0; i < num_slots; ++i) all_slots.push_back(i);
  const auto start = mx::random::normal({num_slots, H, N, Dh});
  ModelState by_mlx(layers, {1, 16, num_slots}, {}), by_cpu(layers, {1, 16, num_slots}, {}, true);
  for (auto* state : {&by_mlx, &by_cpu}) state->recurrent(0).write(0, all_slots, start);
  const auto wanted =
      by_groups(all, long_parts, by_mlx.recurrent(0), 1, [&](const auto& rows, auto& states) {
        auto [y, state] = kernels::state_scan_rows(
            columns(rows, 0, inner), columns(rows, inner, inner + H), states[0], scan);
        states[0] = state;
        return y;
      });
  const auto got = kernels::state_scan(mx::contiguous(columns(all, 0, inner)), all, inner, scan,
                                       long_parts, by_cpu.recurrent(0).pool(0), backend);
  EXPECT_LT(max_abs_difference(to_vector(got), to_vector(wanted)), 1e-4f);
  EXPECT_LT(max_abs_difference(to_vector(by_cpu.recurrent(0).pool(0)),
                               to_vector(by_mlx.recurrent(0).pool(0))),
            1e-4f);
  mx::set_default_device(device);
}

}  // namespace
}  // namespace pippin::nn
