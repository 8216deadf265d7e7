// A layer's attention by our GPU kernels (emulated where there is no GPU) against MLX's operations.
#include <gtest/gtest.h>

#include <numeric>

#include "kernels/emulated/emulation.h"
#include "kernels/gpu/kernel.h"
#include "kernels/layout.h"
#include "kernels/ops.h"
#include "kernels/testing.h"

namespace pippin::kernels {
namespace {

using testing::max_abs_difference;
using testing::random_array;
using testing::to_vector;

constexpr AttentionShape shape = {4, 2, 16};
constexpr int page_size = 16, num_pages = 40;

struct Part {
  int length, rows;
};

struct Result {
  std::vector<float> out, keys, values;
};

std::unique_ptr<gpu::Executor> own_kernels() {
  if (mx::default_device() == mx::Device::gpu) return gpu::cuda_executor();
  return gpu::emulated_executor();
}

AttentionSpec plain() {
  return {shape,
          {0.25f},
          {cpu::HeadNorms::each_head, random_array({16}, 1), random_array({16}, 2), 1e-6f}};
}

Result attend(const std::vector<Part>& parts, bool own, const AttentionSpec& spec, int kv_bits) {
  const gpu::UseExecutor use(own ? own_kernels() : nullptr);
  std::vector<std::int32_t> pages(num_pages);
  for (int i = 0; i < num_pages; ++i) pages[static_cast<std::size_t>(i)] = i * 7 % num_pages;
  std::vector<ContextRows> contexts;
  int rows = 0, used = 0;
  for (const auto& part : parts) {
    contexts.push_back(
        {std::span(pages).subspan(static_cast<std::size_t>(used)), part.length, part.rows});
    used += (part.length + page_size - 1) / page_size;
    rows += part.rows;
  }
  std::vector<std::int32_t> positions;
  for (const auto& part : parts)
    for (int i = part.length - part.rows; i < part.length; ++i) positions.push_back(i);
  const RowPositions at{rope_angles(mx::array(positions.begin(), {1, rows}, mx::int32), true,
                                    plain_rope(shape.head_dim, 1e4f))};
  const auto qkv =
      random_array({rows, (shape.num_heads + 2 * shape.num_kv_heads) * shape.head_dim}, 3);
  const mx::Shape pool = {num_pages * page_size, shape.num_kv_heads, kv_bits ? 18 : 16};
  auto k_pool = kv_bits ? mx::zeros(pool, mx::uint8) : random_array(pool, 4);
  auto v_pool = kv_bits ? mx::zeros(pool, mx::uint8) : random_array(pool, 5);
  const auto out = causal_attention(qkv, spec, at, k_pool, v_pool,
                                    make_layout(contexts, page_size, nullptr, true));
  return {to_vector(out), to_vector(k_pool), to_vector(v_pool)};
}

void expect_equal(const std::vector<Part>& parts, const AttentionSpec& spec = plain(),
                  int kv_bits = 0) {
  const auto own = attend(parts, true, spec, kv_bits), mlx = attend(parts, false, spec, kv_bits);
  EXPECT_LT(max_abs_difference(own.out, mlx.out), 2e-5f);
  EXPECT_LT(max_abs_difference(own.keys, mlx.keys), 2e-5f);
  EXPECT_LT(max_abs_difference(own.values, mlx.values), 2e-5f);
}

TEST(GpuAttention, DecodeRowsEqualMlx) {
  expect_equal({{1, 1}});
  expect_equal({{17, 1}, {130, 1}, {3, 1}, {128, 1}});
}

TEST(GpuAttention, ChunksBesideDecodeRowsEqualMlx) {
  expect_equal({{40, 1}, {5, 1}, {60, 23}, {9, 9}, {12, 1}});
  expect_equal({{33, 33}});
}

TEST(GpuAttention, LayersWithAWindowSinksACapOrNoNormsEqualMlx) {
  const std::vector<Part> parts = {{40, 1}, {5, 1}, {60, 23}, {9, 9}, {130, 1}};
  auto spec = plain();
  spec.scores.window = 7;
  expect_equal(parts, spec);
  spec.scores.softcap = 3;
  expect_equal(parts, spec);
  spec.scores.sinks = random_array({4}, 6);
  expect_equal(parts, spec);
  spec.scores.softcap = 0;
  expect_equal(parts, spec);
  spec = plain();
  spec.norm = {cpu::HeadNorms::none};
  expect_equal(parts, spec);
}

// Our kernels read no codes: MLX's operations do, over the same layout.
TEST(GpuAttention, PagesOfCodesAreLeftToMlx) {
  expect_equal({{40, 1}, {5, 1}, {60, 23}}, plain(), 8);
}

TEST(GpuAttention, OnlyDecodeRowsHaveContexts) {
  const gpu::UseExecutor use(own_kernels());
  const std::vector<std::int32_t> a = {5, 2}, b = {7}, c = {1, 0, 3};
  const auto layout = make_layout({{a, 6, 1}, {b, 3, 1}, {c, 10, 4}}, 4, nullptr, true);
  ASSERT_EQ(layout.groups.size(), 2u);
  const auto& contexts = *layout.groups[0].contexts;
  EXPECT_EQ(contexts.rows, 2);
  EXPECT_EQ(contexts.longest, 6);
  EXPECT_EQ(to_vector(contexts.table),
            (std::vector<float>{5, 2, 0, 0, 0, 0, 0, 0, 7, 0, 0, 0, 0, 0, 0, 0}));
  EXPECT_EQ(to_vector(contexts.lengths), (std::vector<float>{6, 3, 0, 0, 0, 0, 0, 0}));
  EXPECT_EQ(to_vector(*layout.padded_write_slots), (std::vector<float>{9, 30, 2, 3, 12, 13, 0, 0}));
  EXPECT_FALSE(layout.groups[1].contexts);
  ASSERT_TRUE(layout.chunks);
  EXPECT_EQ(layout.chunks->rows, 4);
  EXPECT_EQ(to_vector(layout.chunks->table), (std::vector<float>{1, 0, 3, 0, 0, 0, 0, 0}));
  EXPECT_EQ(to_vector(layout.chunks->places), (std::vector<float>{2, 4, 6, 0, 0, 0, 0, 0}));
  EXPECT_FALSE(make_layout({{a, 6, 1}, {b, 3, 1}}, 4, nullptr, true).chunks);
}

TEST(GpuAttention, WithoutKernelsTheLayoutIsForMlx) {
  const gpu::UseExecutor use(nullptr);
  const std::vector<std::int32_t> a = {5, 2};
  const auto layout = make_layout({{a, 6, 1}}, 4, nullptr, true);
  EXPECT_FALSE(layout.padded_write_slots);
  EXPECT_FALSE(layout.groups[0].contexts);
  EXPECT_FALSE(make_layout({{a, 6, 4}}, 4, nullptr, true).chunks);
}

}  // namespace
}  // namespace pippin::kernels
