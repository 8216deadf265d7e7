#include "kernels/gpu/attention.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <numeric>
#include <random>

#include "kernels/gpu/testing.h"
#include "kernels/testing.h"
#include "pippin/error.h"

namespace pippin::kernels::gpu {
namespace {

using pippin::testing::max_abs_difference;
using pippin::testing::random_array;
using pippin::testing::to_vector;

constexpr int page_size = 16;

struct Heads {
  int all, kv, dim;
};

// Contexts in pages of random order, and the pools behind them.
struct Pools {
  Pools(const std::vector<int>& lengths, const Heads& heads, mx::Dtype dtype) : lengths(lengths) {
    std::size_t count = 1;
    for (const int length : lengths)
      count += static_cast<std::size_t>((length + page_size - 1) / page_size);
    std::vector<std::int32_t> free(count);
    std::iota(free.begin(), free.end(), 0);
    std::shuffle(free.begin(), free.end(), std::mt19937(3));
    for (const int length : lengths) {
      pages.emplace_back();
      for (int t = 0; t < length; t += page_size) {
        pages.back().push_back(free.back());
        free.pop_back();
      }
    }
    const mx::Shape shape = {static_cast<int>(count) * page_size, heads.kv, heads.dim};
    keys = mx::astype(random_array(shape, 11), dtype);
    values = mx::astype(random_array(shape, 12), dtype);
    mx::eval(keys, values);
  }
  Contexts contexts(std::size_t first, std::size_t count) const {
    std::vector<Context> rows;
    for (auto i = first; i < first + count; ++i) rows.push_back({pages[i], lengths[i]});
    return make_contexts(rows, page_size);
  }
  Contexts contexts() const { return contexts(0, pages.size()); }
  std::int64_t slot(std::size_t row, int token) const {
    return pages[row][static_cast<std::size_t>(token / page_size)] * page_size + token % page_size;
  }

  std::vector<int> lengths;
  std::vector<std::vector<std::int32_t>> pages;
  mx::array keys{0}, values{0};
};

// The definition, in doubles, of one head of one row.
std::vector<double> attend_naive(const float* q, const std::vector<float>& keys,
                                 const std::vector<float>& values, const Pools& pools,
                                 std::size_t row, int kv, const Heads& heads,
                                 const DecodeOptions& options, double sink) {
  const int length = pools.lengths[row],
            first = options.window ? std::max(0, length - options.window) : 0;
  const auto at = [&](int token) {
    return static_cast<std::size_t>((pools.slot(row, token) * heads.kv + kv) * heads.dim);
  };
  double total = options.sinks ? std::exp(sink) : 0;
  std::vector<double> out(static_cast<std::size_t>(heads.dim));
  for (int t = first; t < length; ++t) {
    double score = 0;
    for (int d = 0; d < heads.dim; ++d)
      score += double(q[d]) * keys[at(t) + static_cast<std::size_t>(d)];
    score *= options.scale;
    if (options.softcap > 0) score = options.softcap * std::tanh(score / options.softcap);
    const double weight = std::exp(score);
    total += weight;
    for (int d = 0; d < heads.dim; ++d)
      out[static_cast<std::size_t>(d)] += weight * values[at(t) + static_cast<std::size_t>(d)];
  }
  for (auto& x : out) x /= total;
  return out;
}

void check_decode(const std::vector<int>& lengths, const Heads& heads, mx::Dtype dtype,
                  const DecodeOptions& options, double bound) {
  const Pools pools(lengths, heads, dtype);
  const int rows = static_cast<int>(lengths.size());
  const auto q = mx::astype(random_array({rows, heads.all, heads.dim}, 13), dtype);
  const auto got = to_vector(
      paged_decode(testing::tested(), q, pools.keys, pools.values, pools.contexts(), options));
  const auto queries = to_vector(q), keys = to_vector(pools.keys), values = to_vector(pools.values);
  const auto sinks = options.sinks ? to_vector(*options.sinks)
                                   : std::vector<float>(static_cast<std::size_t>(heads.all));
  for (int row = 0; row < rows; ++row)
    for (int h = 0; h < heads.all; ++h) {
      const auto at = static_cast<std::size_t>((row * heads.all + h) * heads.dim);
      const auto wanted = attend_naive(&queries[at], keys, values, pools,
                                       static_cast<std::size_t>(row), h / (heads.all / heads.kv),
                                       heads, options, sinks[static_cast<std::size_t>(h)]);
      for (std::size_t d = 0; d < wanted.size(); ++d)
        ASSERT_NEAR(got[at + d], wanted[d], bound)
            << "row " << row << " head " << h << " number " << d << " of heads of " << heads.dim;
    }
}

const std::vector<int> ragged = {1, 2, 15, 16, 17, 127, 128, 129, 300};

float scale_of(const Heads& heads) { return 1.0f / std::sqrt(static_cast<float>(heads.dim)); }

TEST(PagedDecode, EqualsTheDefinitionForAnyHeads) {
  for (const Heads heads : {Heads{4, 2, 16}, Heads{4, 4, 16}, Heads{3, 1, 32}, Heads{4, 2, 32},
                            Heads{8, 1, 64}, Heads{2, 2, 80}, Heads{4, 2, 128}}) {
    check_decode(ragged, heads, mx::float32, {scale_of(heads)}, 1e-5);
    check_decode(ragged, heads, mx::bfloat16, {scale_of(heads)}, 1e-2);
  }
  for (const Heads heads : {Heads{2, 1, 256}, Heads{1, 1, 512}})
    check_decode({5, 131}, heads, mx::float32, {scale_of(heads)}, 1e-5);
}

TEST(PagedDecode, OneSequenceOfOneToken) {
  for (const Heads heads : {Heads{4, 2, 16}, Heads{3, 1, 32}, Heads{1, 1, 16}})
    check_decode({1}, heads, mx::float32, {scale_of(heads)}, 1e-5);
}

TEST(PagedDecode, OneOrManySequences) {
  for (const int count : {1, 2, 7, 8, 9, 20}) {
    std::vector<int> lengths;
    for (int i = 0; i < count; ++i) lengths.push_back(1 + i * 53 % 200);
    check_decode(lengths, {4, 2, 16}, mx::float32, {0.25f}, 1e-5);
  }
}

TEST(PagedDecode, SeesWhatLiesInTheWindow) {
  for (const int window : {1, 16, 100, 128, 129, 1000})
    check_decode(ragged, {4, 2, 16}, mx::float32, {.scale = 0.25f, .window = window}, 1e-5);
}

TEST(PagedDecode, CapsScores) {
  check_decode(ragged, {4, 2, 16}, mx::float32, {.scale = 1.0f, .softcap = 1.5f}, 2e-5);
}

TEST(PagedDecode, SinksTakeWeight) {
  const mx::array sinks({-2.0f, 0.0f, 1.5f, 6.0f});
  check_decode(ragged, {4, 2, 16}, mx::float32, {.scale = 0.25f, .sinks = sinks}, 1e-5);
  check_decode({3, 100}, {4, 2, 16}, mx::float32, {.scale = 0.25f, .sinks = sinks}, 1e-5);
  check_decode(ragged, {4, 2, 16}, mx::float32,
               {.scale = 0.25f, .window = 50, .softcap = 2.0f, .sinks = sinks}, 2e-5);
}

// Whatever the others' lengths: parts are the same, and one part is merged as it would be among many.
TEST(PagedDecode, ARowsBitsDependOnTheRowAlone) {
  const Heads heads{4, 2, 16};
  const Pools pools(ragged, heads, mx::float32);
  const auto q = random_array({static_cast<int>(ragged.size()), heads.all, heads.dim}, 13);
  for (const auto& options :
       {DecodeOptions{0.25f},
        DecodeOptions{.scale = 0.25f, .sinks = mx::array({-2.0f, 0.0f, 1.5f, 6.0f})}}) {
    const auto together = to_vector(
        paged_decode(testing::tested(), q, pools.keys, pools.values, pools.contexts(), options));
    for (std::size_t i = 0; i < ragged.size(); ++i) {
      const int row = static_cast<int>(i), width = heads.all * heads.dim;
      const auto mine = mx::slice(q, {row, 0, 0}, {row + 1, heads.all, heads.dim});
      const auto alone = to_vector(paged_decode(testing::tested(), mine, pools.keys, pools.values,
                                                pools.contexts(i, 1), options));
      EXPECT_EQ(alone, std::vector<float>(together.begin() + row * width,
                                          together.begin() + (row + 1) * width))
          << ragged[i];
    }
  }
}

// ---- heads

struct Turned {
  std::vector<float> q, k, v;
};

Turned turn_naive(const mx::array& qkv, const HeadRows& heads) {
  const auto x = to_vector(qkv), cosines = to_vector(heads.cosines), sines = to_vector(heads.sines);
  const int D = heads.head_dim, half = D / 2, rows = qkv.shape(0),
            kv_end = heads.num_heads + heads.num_kv_heads, all = kv_end + heads.num_kv_heads;
  Turned turned;
  for (int row = 0; row < rows; ++row)
    for (int h = 0; h < all; ++h) {
      std::vector<double> head(x.begin() + (row * all + h) * D,
                               x.begin() + (row * all + h + 1) * D);
      if (h < kv_end && heads.q_norm) {
        const auto weight = to_vector(h < heads.num_heads ? *heads.q_norm : *heads.k_norm);
        double squares = 0;
        for (const double number : head) squares += number * number;
        for (int d = 0; d < D; ++d) head[d] *= weight[d] / std::sqrt(squares / D + heads.eps);
      }
      for (int d = 0; h < kv_end && d < half; ++d) {
        const double c = cosines[row * half + d], s = sines[row * half + d], a = head[d],
                     b = head[half + d];
        head[d] = a * c - b * s;
        head[half + d] = b * c + a * s;
      }
      auto& to = h < heads.num_heads ? turned.q : h < kv_end ? turned.k : turned.v;
      to.insert(to.end(), head.begin(), head.end());
    }
  return turned;
}

HeadRows head_rows(int rows, int num_heads, int num_kv_heads, int dim, bool norm, mx::Dtype dtype) {
  const auto angles = random_array({rows, 1, dim / 2}, 21) * mx::array(3.0f);
  HeadRows heads{num_heads, num_kv_heads, dim, {}, {}, 1e-6f, mx::cos(angles), mx::sin(angles)};
  if (norm) {
    heads.q_norm = mx::astype(random_array({dim}, 22), dtype);
    heads.k_norm = mx::astype(random_array({dim}, 23), dtype);
  }
  return heads;
}

mx::array qkv_of(int rows, const HeadRows& heads, mx::Dtype dtype) {
  return mx::astype(
      random_array({rows, (heads.num_heads + 2 * heads.num_kv_heads) * heads.head_dim}, 24), dtype);
}

TEST(QkNormRope, EqualsTheDefinition) {
  for (const auto dtype : {mx::float32, mx::bfloat16})
    for (const bool norm : {false, true})
      for (const int dim : {16, 32, 80, 128})
        for (const int rows : {1, 5}) {
          const auto heads = head_rows(rows, 5, 2, dim, norm, dtype);
          const auto qkv = qkv_of(rows, heads, dtype);
          const auto got = qk_norm_rope(testing::tested(), qkv, heads, dtype);
          const auto wanted = turn_naive(qkv, heads);
          const float bound = dtype == mx::float32 ? 5e-6f : 5e-2f;
          EXPECT_LT(max_abs_difference(to_vector(got.q), wanted.q), bound) << dim;
          EXPECT_LT(max_abs_difference(to_vector(got.k), wanted.k), bound) << dim;
          EXPECT_LT(max_abs_difference(to_vector(got.v), wanted.v), bound) << dim;
        }
}

TEST(QkNormRope, WritesItsSlotsAndNoOthers) {
  if (!testing::tested().writes_inputs()) return;
  const std::vector<std::int32_t> slots = {7, 90, 0};
  const auto heads = head_rows(3, 4, 2, 16, true, mx::float32);
  const auto qkv = qkv_of(3, heads, mx::float32);
  auto k_pool = random_array({96, 2, 16}, 31), v_pool = random_array({96, 2, 16}, 32);
  auto keys = to_vector(k_pool), values = to_vector(v_pool);
  const auto padded_slots = padded(slots);
  const auto q =
      qk_norm_rope_write(testing::tested(), qkv, heads,
                         mx::array(padded_slots.begin(), {8}, mx::int32), k_pool, v_pool);
  const auto wanted = turn_naive(qkv, heads);
  EXPECT_LT(max_abs_difference(to_vector(q), wanted.q), 5e-6f);
  for (std::size_t row = 0; row < slots.size(); ++row) {
    std::copy_n(wanted.k.begin() + static_cast<int>(row) * 32, 32, keys.begin() + slots[row] * 32);
    std::copy_n(wanted.v.begin() + static_cast<int>(row) * 32, 32,
                values.begin() + slots[row] * 32);
  }
  EXPECT_LT(max_abs_difference(to_vector(k_pool), keys), 5e-6f);
  EXPECT_LT(max_abs_difference(to_vector(v_pool), values), 5e-6f);
}

// ---- the rules, the same on each executor

TEST(Executor, RefusesWhatOneOfTheGpusWouldNotTake) {
  const auto heads = head_rows(1, 4, 2, 16, true, mx::float32);
  const auto qkv = qkv_of(1, heads, mx::float32), pool = random_array({96, 2, 16}, 31);
  EXPECT_THROW(
      qk_norm_rope_write(testing::tested(), qkv, heads, mx::array({7}, mx::int32), pool, pool),
      Error);
}

TEST(Environment, TheUsersChoiceWins) {
  for (const char* const name : {"MLX_CUDA_USE_CUDNN_SDPA", "MLX_ENABLE_TF32"}) {
    const char* const before = std::getenv(name);
    const std::string kept = before ? before : "";
    unsetenv(name);
    prepare_environment();
    EXPECT_STREQ(std::getenv(name), "0");
    setenv(name, "1", 1);
    prepare_environment();
    EXPECT_STREQ(std::getenv(name), "1");
    if (kept.empty())
      unsetenv(name);
    else
      setenv(name, kept.c_str(), 1);
  }
}

}  // namespace
}  // namespace pippin::kernels::gpu
