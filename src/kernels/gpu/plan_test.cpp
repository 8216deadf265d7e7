#include "kernels/gpu/plan.h"

#include <gtest/gtest.h>

#include "kernels/gpu/activation.h"
#include "kernels/gpu/products.h"
#include "kernels/gpu/testing.h"
#include "kernels/testing.h"

namespace pippin::kernels::gpu {
namespace {

using pippin::testing::max_abs_difference;
using pippin::testing::random_array;
using pippin::testing::to_vector;

struct Layer {
  mx::array norm;
  Matrix gate_up, down;
  explicit Layer(std::uint64_t seed)
      : norm(random_array({64}, seed)),
        gate_up{random_array({192, 64}, seed + 1)},
        down{random_array({64, 96}, seed + 2)} {}
  mx::array operator()(Executor& executor, const mx::array& x) const {
    const auto gated_up =
        gated(executor, product(executor, rms_norm(executor, x, norm, 1e-5f), gate_up));
    return product(executor, gated_up, down, x);
  }
};

std::unique_ptr<Player> player() { return testing::tested().make_player(); }

mx::array input(std::uint64_t seed) {
  auto x = mx::contiguous(random_array({2, 64}, seed) + mx::array(0.0f));
  x.eval();
  return x;
}

struct Recorded {
  Plan plan;
  mx::array x;
};

Recorded record(const std::vector<Layer>& layers) {
  auto x = input(1);
  Recorder recorder(true, {x});
  auto h = x;
  for (const auto& layer : layers) h = layer(recorder, h);
  auto plan = recorder.finish({{h}});
  EXPECT_TRUE(plan.has_value()) << recorder.refusal();
  return {std::move(*plan), x};
}

TEST(Plan, GivesWhatTheLaunchesGive) {
  const std::vector<Layer> layers = {Layer(10), Layer(20), Layer(30)};
  auto [plan, x] = record(layers);
  auto h = x;
  for (const auto& layer : layers) h = layer(testing::tested(), h);
  const auto wanted = to_vector(h);
  auto playback = player()->prepare(std::move(plan));
  for (int i = 0; i < 2; ++i) {  // what a run leaves in the memory does not matter to the next
    playback->run();
    EXPECT_LT(max_abs_difference(to_vector(playback->output(0, {2, 64}, mx::float32)), wanted),
              2e-3f);
  }
}

// The norm is part of the product behind it, the gate of the one before: two kernels a layer, and memory of two layers.
TEST(Plan, DropsWhatOthersDoAndSharesMemory) {
  std::vector<Layer> layers;
  for (int i = 0; i < 6; ++i) layers.emplace_back(i);
  const auto recorded = record(layers);
  EXPECT_EQ(recorded.plan.launches.size(), 12u);
  for (const auto& launch : recorded.plan.launches) EXPECT_EQ(launch.kernel->name, "product");
  EXPECT_LE(recorded.plan.bytes, 4096u);
}

TEST(Plan, IsRefusedWhereMlxComputes) {
  const auto x = input(1);
  Recorder recorder(true, {x});
  const Matrix w{random_array({64, 64}, 2)};
  const auto y = product(recorder, product(recorder, x, w) + mx::array(1.0f), w);
  EXPECT_FALSE(recorder.finish({{y}}).has_value());
  EXPECT_EQ(recorder.refusal(), "Add");
}

// What varies is not computed beforehand; everything else is.
TEST(Plan, ComputesConstantsBeforehand) {
  const auto x = input(1);
  const Matrix w{mx::multiply(random_array({64, 64}, 2), mx::array(2.0f))};
  {
    Recorder recorder(true, {x});
    EXPECT_TRUE(recorder.finish({{product(recorder, x, w)}}).has_value());
  }
  Recorder recorder(true, {x});
  EXPECT_FALSE(recorder.finish({{product(recorder, x + mx::array(1.0f), w)}}).has_value());
}

TEST(Player, BringsNumbersToAndFro) {
  auto to = mx::zeros({16}, mx::int32), other = mx::zeros({16}, mx::int32);
  mx::eval(to, other);
  const auto p = player();
  const std::vector<std::int32_t> values = {1, 2, 3, 4};
  p->upload(values, to);
  const int first = p->ask(to, 4);
  p->copy(to, other, 3);
  p->upload(std::vector<std::int32_t>{9}, to);
  const int second = p->ask(other, 4), third = p->ask(to, 2);
  EXPECT_EQ(p->read(third), (std::vector<std::int32_t>{9, 2}));
  EXPECT_EQ(p->read(second), (std::vector<std::int32_t>{1, 2, 3, 0}));
  EXPECT_EQ(p->read(first), values);
}

}  // namespace
}  // namespace pippin::kernels::gpu
