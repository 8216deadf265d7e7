#include "nn/model_state.h"

#include <gtest/gtest.h>

#include "pippin/error.h"

namespace pippin::nn {
namespace {

// Two kinds of attention, a layer that shares the first one's pages, a recurrent layer with two tensors, and one that keeps nothing.
std::vector<LayerState> mixed() {
  return {PagedKv{2, 8, 4},
          RecurrentState{{{"conv", {3, 5}, mx::float32}, {"state", {7}, mx::int32}}},
          PagedKv{1, 16, 16, 9},
          NoState{},
          SharedKv{0},
          RecurrentState{{{"conv", {2}, mx::float32}}}};
}

class States : public ::testing::TestWithParam<bool> {};

TEST_P(States, LayersHaveThePoolsThatTheyDeclare) {
  ModelState state(mixed(), {3, 4, 2}, {mx::float16}, GetParam());
  EXPECT_EQ(state.keys(0).shape(), mx::Shape({12, 2, 8}));
  EXPECT_EQ(state.values(0).shape(), mx::Shape({12, 2, 4}));
  EXPECT_EQ(state.keys(2).shape(), mx::Shape({12, 1, 16}));
  EXPECT_EQ(&state.keys(4), &state.keys(0));
  EXPECT_EQ(&state.values(4), &state.values(0));
  EXPECT_EQ(state.recurrent(1).pool(0).shape(), mx::Shape({2, 3, 5}));
  EXPECT_EQ(state.recurrent(1).pool(1).dtype(), mx::int32);
  EXPECT_EQ(state.recurrent(5).pool(0).shape(), mx::Shape({2, 2}));
  EXPECT_EQ(state.arrays().size(), 7u);
}

TEST_P(States, TakeTheBytesThatTheBudgetCounts) {
  for (const int bits : {0, 8}) {
    const KvStorage kv{mx::float16, bits};
    ModelState state(mixed(), {3, 4, 2}, kv, GetParam());
    EXPECT_EQ(static_cast<std::int64_t>(state.pages().page_bytes()), page_bytes(mixed(), kv, 4));
    EXPECT_EQ(static_cast<std::int64_t>(state.slots().page_bytes()), slot_bytes(mixed()));
  }
  EXPECT_EQ(slot_bytes(mixed()), 4 * (15 + 7 + 2));
  EXPECT_EQ(page_bytes(mixed(), {mx::float16}, 4), 4 * 2 * (2 * 8 + 2 * 4 + 16 + 16));
}

TEST_P(States, LayersWithAWindowHavePagesOfTheirOwnWhereAsked) {
  auto layers = mixed();
  layers.emplace_back(SharedKv{2});
  const KvStorage kv{mx::float16};
  ModelState state(layers, {3, 4, 2, 5}, kv, GetParam());
  EXPECT_EQ(state.keys(0).shape(), mx::Shape({12, 2, 8}));
  EXPECT_EQ(state.keys(2).shape(), mx::Shape({20, 1, 16}));
  EXPECT_EQ(&state.values(6), &state.values(2));
  EXPECT_EQ(&state.values(4), &state.values(0));
  for (const std::size_t layer : {0, 1, 2, 3, 4, 6})
    EXPECT_EQ(state.in_window_pages(layer), layer == 2 || layer == 6) << layer;
  EXPECT_EQ(state.arrays().size(), 7u);
  const auto window = window_page_bytes(layers, kv, 4);
  EXPECT_EQ(window, 4 * 2 * (16 + 16));
  EXPECT_EQ(static_cast<std::int64_t>(state.window_pages().page_bytes()), window);
  EXPECT_EQ(static_cast<std::int64_t>(state.pages().page_bytes()),
            page_bytes(layers, kv, 4) - window);
  EXPECT_EQ(largest_window(layers), 9);
}

// Multi-head latent attention: one pool a layer, also where the layer has a window, shares or is shared.
TEST_P(States, ValuesInKeysAreStoredOnce) {
  const std::vector<LayerState> layers = {PagedKv{1, 24, 16, 0, true}, PagedKv{2, 8, 8},
                                          SharedKv{0}, PagedKv{1, 16, 8, 9, true}};
  for (const int bits : {0, 8}) {
    const KvStorage kv{mx::float16, bits};
    ModelState state(layers, {3, 4, 0, 5}, kv, GetParam());
    const int row = kv_row_bytes(kv, 24) / (bits ? 1 : 2);
    EXPECT_EQ(state.keys(0).shape(), mx::Shape({12, 1, row}));
    EXPECT_EQ(&state.values(0), &state.keys(0));
    EXPECT_EQ(&state.values(2), &state.keys(0));
    EXPECT_EQ(state.keys(1).shape(1), 2);
    EXPECT_NE(&state.values(1), &state.keys(1));
    EXPECT_EQ(&state.values(3), &state.keys(3));
    EXPECT_EQ(state.keys(3).shape(0), 20);
    EXPECT_EQ(state.arrays().size(), 4u);
    const auto all = page_bytes(layers, kv, 4), window = window_page_bytes(layers, kv, 4);
    EXPECT_EQ(static_cast<std::int64_t>(state.pages().page_bytes()), all - window);
    EXPECT_EQ(static_cast<std::int64_t>(state.window_pages().page_bytes()), window);
  }
  EXPECT_EQ(page_bytes(layers, {mx::float16}, 4), 4 * 2 * (24 + 2 * 2 * 8 + 16));
}

TEST_P(States, SlotsAreReadAsWritten) {
  ModelState state(mixed(), {1, 4, 4}, {mx::float32}, GetParam());
  state.slots().clear_pages(std::vector<std::int32_t>{0, 1, 2, 3});
  const auto layer = state.recurrent(1);
  layer.write(1, {3, 1}, mx::astype(mx::reshape(mx::arange(14), {2, 7}), mx::int32));
  const auto read = layer.read(1, {1, 0, 3});
  const auto wanted = mx::array({7, 8, 9, 10, 11, 12, 13, 0, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6},
                                {3, 7}, mx::int32);
  EXPECT_TRUE(mx::array_equal(read, wanted).item<bool>());
  EXPECT_TRUE(mx::array_equal(state.recurrent(5).read(0, {1}), mx::zeros({1, 2})).item<bool>());
}

INSTANTIATE_TEST_SUITE_P(Memory, States, ::testing::Bool(),
                         [](const auto& info) { return info.param ? "host" : "mlx"; });

TEST(SharedKv, OfALayerWithoutPagesIsRefused) {
  for (const int layer : {1, 2, 3}) {
    const std::vector<LayerState> layers = {PagedKv{1, 4, 4}, NoState{}, SharedKv{layer}};
    EXPECT_THROW(ModelState(layers, {1, 4, 0}, {}), Error) << layer;
  }
}

}  // namespace
}  // namespace pippin::nn
