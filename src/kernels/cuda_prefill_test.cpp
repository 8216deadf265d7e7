// Runs on NVIDIA's GPUs; elsewhere it sees that the kernel takes nothing, and how chunks are laid out.
#include "kernels/cuda_prefill.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <numeric>
#include <vector>

#include "kernels/cuda_linear.h"
#include "kernels/testing.h"

namespace pippin::kernels {
namespace {

using testing::random_array;
using testing::to_vector;

constexpr int page_size = 16, num_pages = 60;

struct Part {
  int length, rows;
};

struct Case {
  int heads, kv_heads, head_dim;
  mx::Dtype dtype = mx::bfloat16;
  int window = 0;
  float softcap = 0;
  bool sinks = false;
};

// q [rows of all parts, H, D], pools, and each part's pages in no order.
struct Inputs {
  mx::array q, k_pool, v_pool;
  gpu::DecodeOptions options;
  std::vector<std::int32_t> pages;
  std::vector<gpu::ChunkRows> chunks;
};

Inputs inputs_of(const Case& c, const std::vector<Part>& parts) {
  const auto numbers = [&](mx::Shape shape, int seed) {
    return mx::astype(random_array(std::move(shape), seed), c.dtype);
  };
  const mx::Shape pool = {num_pages * page_size, c.kv_heads, c.head_dim};
  int rows = 0;
  for (const auto& part : parts) rows += part.rows;
  Inputs in{numbers({rows, c.heads, c.head_dim}, 1),
            numbers(pool, 2),
            numbers(pool, 3),
            {1 / std::sqrt(static_cast<float>(c.head_dim)), c.window, c.softcap, {}},
            {},
            {}};
  if (c.sinks) in.options.sinks = random_array({c.heads}, 4);
  for (int i = 0; i < num_pages; ++i) in.pages.push_back(i * 7 % num_pages);
  int used = 0, row = 0;
  for (const auto& part : parts) {
    in.chunks.push_back(
        {std::span(in.pages).subspan(static_cast<std::size_t>(used)), part.length, part.rows, row});
    used += (part.length + page_size - 1) / page_size;
    row += part.rows;
  }
  return in;
}

std::vector<float> by_kernel(const Inputs& in) {
  const auto out = prefill_attention(*gpu::executor(), in.q, in.k_pool, in.v_pool,
                                     gpu::make_chunks(in.chunks, page_size), in.options);
  return to_vector(out);
}

// One row of one head, in double.
std::vector<double> attended(const Inputs& in, const std::vector<float>& q,
                             const std::vector<float>& k, const std::vector<float>& v,
                             const gpu::ChunkRows& chunk, int row, int head) {
  const int heads = in.q.shape(1), dim = in.q.shape(2), kv_heads = in.k_pool.shape(1);
  const int self = chunk.length - chunk.rows + row;
  const int first = in.options.window > 0 ? std::max(0, self - in.options.window + 1) : 0;
  const auto at = [&](int token) {
    const int slot =
        chunk.pages[static_cast<std::size_t>(token / page_size)] * page_size + token % page_size;
    return static_cast<std::size_t>((slot * kv_heads + head / (heads / kv_heads)) * dim);
  };
  const auto from = static_cast<std::size_t>(((chunk.first_row + row) * heads + head) * dim);
  std::vector<double> weights, out(static_cast<std::size_t>(dim));
  double total = 0;
  if (in.options.sinks)
    total = std::exp(to_vector(*in.options.sinks)[static_cast<std::size_t>(head)]);
  for (int token = first; token <= self; ++token) {
    double score = 0;
    for (std::size_t i = 0; i < out.size(); ++i) score += double(q[from + i]) * k[at(token) + i];
    score *= in.options.scale;
    if (in.options.softcap > 0) score = in.options.softcap * std::tanh(score / in.options.softcap);
    weights.push_back(std::exp(score));
    total += weights.back();
  }
  for (int token = first; token <= self; ++token)
    for (std::size_t i = 0; i < out.size(); ++i)
      out[i] += weights[static_cast<std::size_t>(token - first)] / total * v[at(token) + i];
  return out;
}

void expect_right(const Case& c, const std::vector<Part>& parts) {
  if (!prefill_kernel_takes(gpu::executor(), c.head_dim, c.dtype, c.dtype)) {
    ASSERT_FALSE(has_matrix_units());
    return;
  }
  const auto in = inputs_of(c, parts);
  const auto made = by_kernel(in);
  const auto q = to_vector(in.q), k = to_vector(in.k_pool), v = to_vector(in.v_pool);
  double largest = 0;
  std::size_t at = 0;
  for (const auto& chunk : in.chunks)
    for (int row = 0; row < chunk.rows; ++row)
      for (int head = 0; head < c.heads; ++head)
        for (const double wanted : attended(in, q, k, v, chunk, row, head))
          largest = std::max(largest, std::abs(wanted - made[at++]));
  ASSERT_EQ(at, made.size());
  // Values are at most 4: weights are rounded to 9 or 12 bits, which moves a sum by 0.008 or 0.001 at most, and results by as much.
  EXPECT_LT(largest, c.dtype == mx::bfloat16 ? 2e-2 : 2.5e-3)
      << c.heads << "/" << c.kv_heads << " x " << c.head_dim << ", window " << c.window;
}

const std::vector<Part> ragged = {{40, 40}, {130, 70}, {2, 2}, {257, 64}, {65, 65}};

TEST(PrefillAttention, EqualsNaiveForHeadsOfEachSize) {
  for (const int head_dim : {16, 64, 80, 96, 128, 192, 256}) expect_right({4, 2, head_dim}, ragged);
  expect_right({3, 1, 64, mx::float16}, ragged);
  expect_right({2, 2, 128, mx::float16}, ragged);
}

TEST(PrefillAttention, EqualsNaiveWithAWindowACapOrSinks) {
  for (const int window : {1, 7, 64, 100}) expect_right({4, 2, 64, mx::bfloat16, window}, ragged);
  expect_right({4, 2, 128, mx::bfloat16, 0, 2}, ragged);
  expect_right({4, 2, 64, mx::bfloat16, 70, 0, true}, ragged);
  expect_right({2, 1, 256, mx::float16, 33, 3, true}, ragged);
}

TEST(PrefillAttention, ARowDoesNotDependOnHowThePromptIsCut) {
  if (!has_matrix_units()) return;
  for (const int window : {0, 50}) {
    const Case c{4, 2, 64, mx::bfloat16, window};
    const auto in = inputs_of(c, {{200, 200}});
    const auto whole = by_kernel(in);
    for (const int cut : {2, 63, 64, 65, 131, 198}) {
      auto parts = in;
      const auto& pages = in.chunks[0].pages;
      parts.chunks = {{pages, cut, cut, 0}, {pages, 200, 200 - cut, cut}};
      EXPECT_EQ(by_kernel(parts), whole) << "cut at " << cut;
    }
  }
}

TEST(PrefillAttention, TakesNoHeadsThatItHasNoRoomFor) {
  for (const int head_dim : {8, 40, 272, 512})
    EXPECT_FALSE(prefill_kernel_takes(gpu::executor(), head_dim, mx::bfloat16, mx::bfloat16));
  EXPECT_FALSE(prefill_kernel_takes(gpu::executor(), 64, mx::float32, mx::float32));
  EXPECT_FALSE(prefill_kernel_takes(gpu::executor(), 64, mx::bfloat16, mx::float16));
  EXPECT_FALSE(prefill_kernel_takes(gpu::executor(), 64, mx::bfloat16, mx::uint8));
  EXPECT_FALSE(prefill_kernel_takes(nullptr, 64, mx::bfloat16, mx::bfloat16));
}

TEST(PrefillChunks, AreCutInPlacesOfWhichTheLongestContextsComeFirst) {
  const std::vector<std::int32_t> a = {5, 2}, b = {7, 1, 9};
  const std::vector<gpu::ChunkRows> parts = {{a, 30, 20, 3}, {b, 140, 70, 40}};
  const auto chunks = gpu::make_chunks(std::vector<gpu::ChunkRows>{{a, 30, 20, 3}}, page_size);
  EXPECT_EQ(chunks.rows, 20);
  EXPECT_EQ(to_vector(chunks.table), (std::vector<float>{5, 2, 0, 0, 0, 0, 0, 0}));
  EXPECT_EQ(to_vector(chunks.places), (std::vector<float>{3, 20, 10, 0, 0, 0, 0, 0}));
  const auto both = gpu::make_chunks(parts, 64);
  EXPECT_EQ(both.rows, 90);
  EXPECT_EQ(to_vector(both.places), (std::vector<float>{104, 6,  134, 1, 84, 0, 0, 0,  //
                                                        40,  64, 70,  1, 20, 0, 0, 0,  //
                                                        3,   20, 10,  0, 0,  0, 0, 0}));
}

}  // namespace
}  // namespace pippin::kernels
