#include "kernels/cpu/attention.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <random>
#include <string>
#include <vector>

#include "base/sanitized.h"
#include "kernels/cpu/isas_testing.h"
#include "kernels/cpu/rope.h"
#include "kernels/cpu/testing.h"
#include "pippin/error.h"

namespace pippin::cpu {
namespace {

struct Shape {
  int num_heads, num_kv_heads, head_dim, page_size;
  KvFormat format;
  int window = 0;
  bool sinks = false;
  float softcap = 0;
  int value_dim = 0;  // 0: head_dim
  bool values_in_keys = false;
};

int value_dim_of(const Shape& shape) {
  return shape.value_dim > 0 ? shape.value_dim : shape.head_dim;
}

// Softmax attention in double precision over num_keys keys; key(j, d), value(j, d).
template <class Key, class Value>
std::vector<double> attend_naive(const float* q, int head_dim, int value_dim, int num_keys,
                                 double scale, const float* sink, const Key& key,
                                 const Value& value, double softcap = 0) {
  std::vector<double> scores, out(static_cast<std::size_t>(value_dim));
  double largest = sink ? static_cast<double>(*sink) : -HUGE_VAL, total = 0;
  for (int j = 0; j < num_keys; ++j) {
    double dot = 0;
    for (int d = 0; d < head_dim; ++d) dot += static_cast<double>(q[d]) * key(j, d);
    scores.push_back(softcap > 0 ? softcap * std::tanh(dot * scale / softcap) : dot * scale);
    largest = std::max(largest, scores.back());
  }
  if (sink) total = std::exp(static_cast<double>(*sink) - largest);
  for (int j = 0; j < num_keys; ++j) {
    const double weight = std::exp(scores[static_cast<std::size_t>(j)] - largest);
    total += weight;
    for (int d = 0; d < value_dim; ++d) out[static_cast<std::size_t>(d)] += weight * value(j, d);
  }
  for (auto& x : out) x /= total;
  return out;
}

// Sequences in pools that hold NaN wherever no token was written.
class Sequences {
 public:
  struct Sequence {
    int length;
    std::vector<std::int32_t> pages, slots;
    std::vector<float> q;                           // [length, H * D]
    std::vector<std::vector<double>> keys, values;  // [length * Hkv] heads, as the pools hold them
  };

  Sequences(const Shape& shape, const std::vector<int>& lengths, const Kernels& kernels)
      : shape_(shape),
        kernels_(kernels),
        width_(static_cast<std::size_t>(shape.num_heads * shape.head_dim)),
        out_width_(static_cast<std::size_t>(shape.num_heads * value_dim_of(shape))),
        pools_(pages_of(lengths), shape.page_size, shape.num_kv_heads, shape.head_dim, shape.format,
               shape.value_dim, shape.values_in_keys) {
    pools_.fill_with_nan();
    sinks_ = random_floats(static_cast<std::size_t>(shape.num_heads), random_);
    std::vector<std::int32_t> pages(static_cast<std::size_t>(pages_of(lengths)));
    std::iota(pages.begin(), pages.end(), 0);
    std::shuffle(pages.begin(), pages.end(), random_);
    for (const int length : lengths) {
      Sequence s{length, {}, {}, {}, {}, {}};
      for (int i = 0; i * shape.page_size < length; ++i) {
        s.pages.push_back(pages.back());
        pages.pop_back();
      }
      for (int i = 0; i < length; ++i)
        s.slots.push_back(s.pages[static_cast<std::size_t>(i / shape.page_size)] * shape.page_size +
                          i % shape.page_size);
      write(s);
      sequences_.push_back(std::move(s));
    }
  }

  const Sequence& operator[](std::size_t i) const { return sequences_[i]; }

  struct Part {
    std::size_t sequence;
    int length, rows;
  };

  // All parts in one call: the outputs, row by row. Queries are multiplied by `factor`.
  std::vector<float> attend(const std::vector<Part>& parts, int threads, float factor = 1) {
    std::vector<float> q;
    std::vector<AttentionPart> views;
    int row = 0;
    for (const auto& part : parts) {
      const auto& s = sequences_[part.sequence];
      const auto begin =
          s.q.begin() +
          static_cast<std::ptrdiff_t>(width_ * static_cast<std::size_t>(part.length - part.rows));
      q.insert(q.end(), begin,
               begin + static_cast<std::ptrdiff_t>(width_ * static_cast<std::size_t>(part.rows)));
      views.push_back({s.pages.data(), part.length, part.rows, row});
      row += part.rows;
    }
    std::vector<float> out(static_cast<std::size_t>(row) * out_width_, NAN);
    Team team(threads);
    paged_attention(team, kernels_,
                    {.q = q.data(),
                     .q_stride = static_cast<std::int64_t>(width_),
                     .num_heads = shape_.num_heads,
                     .pools = pools_.view(),
                     .parts = views,
                     .scale = scale() * factor,
                     .window = shape_.window,
                     .softcap = shape_.softcap,
                     .sinks = shape_.sinks ? sinks_.data() : nullptr,
                     .out = out.data(),
                     .out_stride = static_cast<std::int64_t>(out_width_)},
                    scratch_);
    return out;
  }

  std::vector<float> wanted(const std::vector<Part>& parts) const {
    std::vector<float> all;
    for (const auto& part : parts)
      for (int position = part.length - part.rows; position < part.length; ++position)
        for (int head = 0; head < shape_.num_heads; ++head) {
          const auto row = wanted_row(sequences_[part.sequence], position, head);
          all.insert(all.end(), row.begin(), row.end());
        }
    return all;
  }

  std::size_t out_width() const { return out_width_; }

  // The first `count` pages of a sequence become none that exist.
  void forget_pages(std::size_t sequence, int count) {
    std::fill_n(sequences_[sequence].pages.begin(), count, -1000000000);
  }

 private:
  // Scores of longer keys spread more, and with them what rounding does to weights.
  float scale() const { return shape_.head_dim > 256 ? 0.1f : 0.3f; }

  int pages_of(const std::vector<int>& lengths) const {
    int pages = 2;
    for (const int length : lengths) pages += length / shape_.page_size + 1;
    return pages;
  }

  void write(Sequence& s) {
    const int values = shape_.values_in_keys ? 0 : value_dim_of(shape_);
    const auto kv = static_cast<std::size_t>(shape_.num_kv_heads * (shape_.head_dim + values));
    const auto rows = static_cast<std::size_t>(s.length);
    const auto qkv = random_floats(rows * (width_ + kv), random_);
    s.q.resize(rows * width_);
    Team team(1);
    rope_and_store(team, kernels_,
                   {.qkv = qkv.data(),
                    .qkv_stride = static_cast<std::int64_t>(width_ + kv),
                    .num_heads = shape_.num_heads,
                    .slots = s.slots.data(),
                    .q = s.q.data(),
                    .q_stride = static_cast<std::int64_t>(width_),
                    .pools = pools_.view()},
                   s.length);
    for (const auto slot : s.slots)
      for (int head = 0; head < shape_.num_kv_heads; ++head) {
        s.keys.push_back(pools_.key(slot, head));
        s.values.push_back(pools_.value(slot, head));
      }
  }

  std::vector<double> wanted_row(const Sequence& s, int position, int head) const {
    const int first = shape_.window > 0 ? std::max(0, position + 1 - shape_.window) : 0;
    const int kv_head = head / (shape_.num_heads / shape_.num_kv_heads);
    const auto of = [&](const auto& heads, int j, int d) {
      const auto head = static_cast<std::size_t>((first + j) * shape_.num_kv_heads + kv_head);
      return heads[head][static_cast<std::size_t>(d)];
    };
    return attend_naive(
        &s.q[static_cast<std::size_t>(position) * width_ +
             static_cast<std::size_t>(head * shape_.head_dim)],
        shape_.head_dim, value_dim_of(shape_), position + 1 - first, static_cast<double>(scale()),
        shape_.sinks ? &sinks_[static_cast<std::size_t>(head)] : nullptr,
        [&](int j, int d) { return of(s.keys, j, d); },
        [&](int j, int d) { return of(s.values, j, d); }, static_cast<double>(shape_.softcap));
  }

  Shape shape_;
  const Kernels& kernels_;
  std::size_t width_, out_width_;
  std::mt19937 random_{3};
  TestPools pools_;
  std::vector<float> sinks_;
  std::vector<Sequence> sequences_;
  AttentionScratch scratch_;
};

// Heads that are rotated, and turned back, are rounded some forty times more.
void expect_near(const std::vector<float>& got, const std::vector<float>& wanted, bool rotated) {
  ASSERT_EQ(got.size(), wanted.size());
  for (std::size_t i = 0; i < got.size(); ++i)
    ASSERT_NEAR(got[i], wanted[i], rotated ? 2e-5 : 1e-5) << i;
}

class AttentionTest : public ::testing::TestWithParam<Isa> {
 protected:
  const Kernels& kernels() const { return kernels_of(GetParam()); }
};

constexpr Shape shapes[] = {
    {4, 2, 128, 16, KvFormat::f16},
    {5, 1, 64, 32, KvFormat::bf16},
    {8, 1, 80, 16, KvFormat::f32},
    {3, 3, 72, 16, KvFormat::f16},
    {16, 1, 96, 3, KvFormat::f16},
    {4, 1, 8, 1, KvFormat::bf16},
    {2, 2, 256, 16, KvFormat::f16},
    {13, 1, 16, 48, KvFormat::bf16},
    {4, 2, 64, 16, KvFormat::f16, 37},
    {7, 1, 32, 5, KvFormat::f32, 100},
    {6, 2, 64, 16, KvFormat::bf16, 600, true},
    {4, 4, 48, 16, KvFormat::f16, 0, true},
    {2, 1, 24, 7, KvFormat::f16, 1, true},
    {4, 2, 64, 16, KvFormat::f16, 0, false, 1.5f},
    {6, 2, 32, 5, KvFormat::f32, 90, true, 3.0f},
    {4, 1, 64, 16, KvFormat::int8, 0, true, 2.0f},
    {4, 2, 128, 16, KvFormat::int8},
    {4, 2, 128, 16, KvFormat::int4},
    {16, 2, 64, 32, KvFormat::int8},
    {16, 2, 64, 32, KvFormat::int4, 600, true},
    {6, 1, 80, 16, KvFormat::int8, 37, true},
    {6, 1, 80, 16, KvFormat::int4},
    {7, 1, 32, 5, KvFormat::int4, 100},
    {3, 3, 96, 3, KvFormat::int8, 20},
    {2, 2, 72, 48, KvFormat::int4, 1, true},
    {5, 1, 8, 1, KvFormat::int8},
    {2, 1, 256, 16, KvFormat::int4},
    // Values of another size, and within their keys: DeepSeek's, and those of tiny checkpoints.
    {4, 2, 64, 16, KvFormat::f16, 0, false, 0, 48},
    {3, 1, 24, 5, KvFormat::bf16, 37, true, 0, 40},
    {4, 2, 64, 16, KvFormat::int8, 0, false, 0, 96},
    {4, 1, 576, 16, KvFormat::f16, 0, false, 0, 512, true},
    {5, 1, 32, 16, KvFormat::f32, 0, false, 0, 24, true},
    {3, 1, 40, 7, KvFormat::f16, 0, true, 0, 24, true},
    {3, 1, 96, 32, KvFormat::bf16, 100, false, 1.5f, 64, true},
    {4, 2, 48, 16, KvFormat::f32, 600, false, 0, 32, true},
    {5, 1, 96, 16, KvFormat::int8, 0, false, 0, 64, true},
    {5, 1, 96, 16, KvFormat::int4, 0, false, 0, 64, true},
    {5, 1, 32, 16, KvFormat::int8, 0, false, 0, 24, true},
    {2, 1, 40, 3, KvFormat::int4, 50, true, 0, 24, true},
};

// Chunks and decode rows mixed, short and long.
TEST_P(AttentionTest, EqualsTheDefinition) {
  for (const auto& shape : shapes) {
    SCOPED_TRACE(::testing::Message() << "heads " << shape.num_heads << " D " << shape.head_dim
                                      << " page " << shape.page_size);
    Sequences sequences(shape, {1, 70, 33, 600, 1100}, kernels());
    const std::vector<Sequences::Part> parts = {
        {0, 1, 1}, {1, 70, 70}, {2, 33, 1}, {3, 600, 17}, {4, 1100, 1}};
    expect_near(sequences.attend(parts, 2), sequences.wanted(parts), is_quantized(shape.format));
  }
}

// The same bits from a whole prompt, its chunks, its rows one by one, and rows in a batch; for any
// number of threads.
TEST_P(AttentionTest, ChunksBatchAndThreadsChangeNoBit) {
  for (std::size_t i = 0; i < std::size(shapes); i += rounds(1, 3)) {
    const auto& shape = shapes[i];
    SCOPED_TRACE(::testing::Message() << "heads " << shape.num_heads << " D " << shape.head_dim
                                      << " page " << shape.page_size);
    const int length = 1050;
    Sequences sequences(shape, {length, 90}, kernels());
    const auto whole = sequences.attend({{0, length, length}}, 2);
    const auto rows_of = [&](int begin, int end) {
      const auto width = static_cast<std::ptrdiff_t>(sequences.out_width());
      return std::vector<float>(whole.begin() + begin * width, whole.begin() + end * width);
    };
    EXPECT_EQ(sequences.attend({{0, 411, 411}}, 1), rows_of(0, 411));
    EXPECT_EQ(sequences.attend({{0, 412, 1}}, 3), rows_of(411, 412));
    EXPECT_EQ(sequences.attend({{0, 1030, 7}}, 3), rows_of(1023, 1030));
    for (const int end : {1, 16, 64, 65, 512, 513, 640, 1050})
      EXPECT_EQ(sequences.attend({{0, end, 1}}, end % 3 + 1), rows_of(end - 1, end)) << end;
    auto batch = sequences.attend({{0, length, 1}, {1, 90, 31}}, 4);
    batch.resize(sequences.out_width());
    EXPECT_EQ(batch, rows_of(length - 1, length));
  }
}

// Scores beyond the exponential's range: the largest takes all, so the output is its value.
TEST_P(AttentionTest, LargeScoresChooseOneKey) {
  Sequences sequences({2, 1, 64, 16, KvFormat::f32}, {200}, kernels());
  const auto out = sequences.attend({{0, 200, 200}}, 1, 1e6f);
  const auto again = sequences.attend({{0, 200, 200}}, 1, 1e7f);
  for (std::size_t i = 0; i < out.size(); ++i) {
    ASSERT_TRUE(std::isfinite(out[i]));
    ASSERT_NEAR(out[i], again[i], 1e-6);
  }
}

// A sliding window's old pages may be anyone's.
TEST_P(AttentionTest, PagesBeforeTheWindowAreNotRead) {
  for (const auto& [page_size, format] : {std::pair{3, KvFormat::f16},
                                          {16, KvFormat::f16},
                                          {32, KvFormat::f16},
                                          {16, KvFormat::int8},
                                          {3, KvFormat::int4},
                                          {32, KvFormat::int4}}) {
    Sequences sequences({4, 2, 64, page_size, format, 50}, {700}, kernels());
    const auto before = sequences.attend({{0, 700, 20}}, 2);
    sequences.forget_pages(0, (700 - 20 + 1 - 50) / page_size);
    EXPECT_EQ(sequences.attend({{0, 700, 20}}, 2), before);
    const auto last_row = sequences.attend({{0, 700, 1}}, 2);
    EXPECT_TRUE(std::equal(last_row.begin(), last_row.end(), before.end() - last_row.size()));
  }
  Sequences latents({3, 1, 48, 16, KvFormat::f16, 50, false, 0, 32, true}, {700}, kernels());
  const auto before = latents.attend({{0, 700, 20}}, 2);
  latents.forget_pages(0, (700 - 20 + 1 - 50) / 16);
  EXPECT_EQ(latents.attend({{0, 700, 20}}, 2), before);
}

TEST_P(AttentionTest, NoPartsAndNoRows) {
  Sequences sequences({4, 2, 128, 16, KvFormat::f16}, {20}, kernels());
  EXPECT_TRUE(sequences.attend({}, 2).empty());
  EXPECT_TRUE(sequences.attend({{0, 20, 0}}, 2).empty());
}

TEST_P(AttentionTest, ImpossibleShapesAreRefused) {
  TestPools pools(1, 16, 2, 16, KvFormat::f32);
  Team team(1);
  AttentionScratch scratch;
  float out[64] = {};
  PagedAttention call = {.q = out,
                         .q_stride = 16,
                         .num_heads = 3,
                         .pools = pools.view(),
                         .parts = {},
                         .scale = 1,
                         .out = out,
                         .out_stride = 16};
  EXPECT_THROW(paged_attention(team, kernels(), call, scratch), Error);
  call.num_heads = 4;
  call.pools.own_value_dim = 24;
  call.pools.values_in_keys = true;
  EXPECT_THROW(paged_attention(team, kernels(), call, scratch), Error);
  call.pools = pools.view();
  const std::int32_t page = 0;
  const AttentionPart part = {&page, 1, 2, 0};
  call.parts = {&part, 1};
  EXPECT_THROW(paged_attention(team, kernels(), call, scratch), Error);
  const int ends[] = {2, 1};
  EXPECT_THROW(segment_attention(team, kernels(),
                                 {.q = out,
                                  .k = out,
                                  .v = out,
                                  .stride = 8,
                                  .num_heads = 1,
                                  .head_dim = 8,
                                  .segment_ends = ends,
                                  .scale = 1,
                                  .out = out,
                                  .out_stride = 8},
                                 scratch),
               Error);
}

// `exact` in float32; else, where the instruction set rounds to bf16, against the definition over what is
// rounded. Rounding the weights then changes each by 2^-9 of itself at most.
void check_segments(const Kernels& kernels, int num_heads, int head_dim, std::vector<int> ends,
                    bool turn, int threads, bool exact) {
  const bool rounds = !exact && kernels.bf16.segment;
  std::mt19937 random(5);
  const int rows = ends.back(), half = head_dim / 2, stride = 3 * num_heads * head_dim + 1;
  const auto qkv = random_floats(static_cast<std::size_t>(rows * stride), random);
  const auto cos = random_floats(static_cast<std::size_t>(rows * half), random);
  const auto sin = random_floats(static_cast<std::size_t>(rows * half), random);
  const float *q = qkv.data(), *k = q + num_heads * head_dim, *v = k + num_heads * head_dim;
  std::vector<float> out(static_cast<std::size_t>(rows * num_heads * head_dim), NAN);
  Team team(threads);
  AttentionScratch scratch;
  segment_attention(team, kernels,
                    {.q = q,
                     .k = k,
                     .v = v,
                     .stride = stride,
                     .num_heads = num_heads,
                     .head_dim = head_dim,
                     .segment_ends = ends,
                     .cos = turn ? cos.data() : nullptr,
                     .sin = turn ? sin.data() : nullptr,
                     .scale = 0.2f,
                     .out = out.data(),
                     .out_stride = num_heads * head_dim,
                     .exact = exact},
                    scratch);
  const auto rounded = [&](float x) { return rounds ? nearest_bf16(x) : x; };
  const auto number = [&](const float* x, int row, int head, int d, float factor) {
    const float* at = x + row * stride + head * head_dim;
    if (!turn) return rounded(at[d] * factor);
    const int i = d % half;
    const float a = at[i] * factor, b = at[half + i] * factor;
    const float c = cos[static_cast<std::size_t>(row * half + i)];
    const float s = sin[static_cast<std::size_t>(row * half + i)];
    return rounded(d < half ? a * c - b * s : b * c + a * s);
  };
  float largest = 0;
  for (const float x : qkv) largest = std::max(largest, std::abs(x));
  const double tolerance = 2e-5 + (rounds ? 0x1p-9 * static_cast<double>(largest) : 0);
  std::size_t at = 0;
  for (int row = 0, segment = 0; row < rows; ++row) {
    while (row >= ends[static_cast<std::size_t>(segment)]) ++segment;
    const int begin = segment ? ends[static_cast<std::size_t>(segment - 1)] : 0;
    for (int head = 0; head < num_heads; ++head) {
      std::vector<float> query;
      for (int d = 0; d < head_dim; ++d) query.push_back(number(q, row, head, d, 0.2f));
      const auto wanted = attend_naive(
          query.data(), head_dim, head_dim, ends[static_cast<std::size_t>(segment)] - begin, 1.0,
          nullptr,
          [&](int j, int d) { return static_cast<double>(number(k, begin + j, head, d, 1.0f)); },
          [&](int j, int d) {
            return static_cast<double>(rounded(v[(begin + j) * stride + head * head_dim + d]));
          });
      for (int d = 0; d < head_dim; ++d, ++at)
        ASSERT_NEAR(out[at], wanted[static_cast<std::size_t>(d)], tolerance) << row << " " << d;
    }
  }
}

TEST_P(AttentionTest, SegmentsEqualTheDefinition) {
  for (const bool exact : {true, false}) {
    check_segments(kernels(), 2, 64, {5, 6, 6, 150}, false, 1, exact);
    check_segments(kernels(), 3, 64, {196, 200}, true, 3, exact);
    check_segments(kernels(), 1, 72, {64, 129}, true, 2, exact);
    check_segments(kernels(), 2, 80, {70}, true, 1, exact);
    check_segments(kernels(), 1, 128, {1}, false, 1, exact);
    check_segments(kernels(), 1, 8, {33, 90}, true, 2, exact);
  }
}

// A NaN's weight would spoil even a sum that it has no part in.
TEST_P(AttentionTest, SegmentsReadNothingThatEarlierOnesLeft) {
  constexpr int D = 64, rows = 70;
  std::vector<float> x(rows * D, std::numeric_limits<float>::quiet_NaN());
  Team team(1);
  AttentionScratch scratch;
  const auto run = [&](const std::vector<int>& ends) {
    std::vector<float> out(rows * D);
    segment_attention(team, kernels(),
                      {.q = x.data(),
                       .k = x.data(),
                       .v = x.data(),
                       .stride = D,
                       .num_heads = 1,
                       .head_dim = D,
                       .segment_ends = ends,
                       .scale = 1,
                       .out = out.data(),
                       .out_stride = D},
                      scratch);
    return out;
  };
  run({rows});
  std::fill(x.begin(), x.end(), 1.0f);
  for (const float v : run({3, rows})) EXPECT_NEAR(v, 1.0f, 0x1p-8f);
}

TEST_P(AttentionTest, OtherSegmentsChangeNoBit) {
  constexpr int H = 2, D = 64, rows = 230, alone = 100;
  std::mt19937 random(9);
  const auto x = random_floats(rows * H * D, random);
  Team team(2);
  AttentionScratch scratch;
  const auto run = [&](int first, const std::vector<int>& ends) {
    const float* at = x.data() + first * H * D;
    std::vector<float> out(static_cast<std::size_t>(ends.back() * H * D));
    segment_attention(team, kernels(),
                      {.q = at,
                       .k = at,
                       .v = at,
                       .stride = H * D,
                       .num_heads = H,
                       .head_dim = D,
                       .segment_ends = ends,
                       .scale = 0.125f,
                       .out = out.data(),
                       .out_stride = H * D},
                      scratch);
    return out;
  };
  const auto together = run(0, {30, 30 + alone, rows});
  const auto single = run(30, {alone});
  EXPECT_TRUE(std::equal(single.begin(), single.end(), together.begin() + 30 * H * D));
}

TEST_P(AttentionTest, NoSegments) {
  Team team(1);
  AttentionScratch scratch;
  segment_attention(team, kernels(),
                    {.q = nullptr,
                     .k = nullptr,
                     .v = nullptr,
                     .stride = 0,
                     .num_heads = 1,
                     .head_dim = 8,
                     .segment_ends = {},
                     .scale = 1,
                     .out = nullptr,
                     .out_stride = 0},
                    scratch);
  EXPECT_TRUE(scratch.work.empty());
}

INSTANTIATE_TEST_SUITE_P(Isas, AttentionTest, ::testing::ValuesIn(tested_isas()),
                         [](const auto& info) { return std::string(name_of(info.param)); });

}  // namespace
}  // namespace pippin::cpu
