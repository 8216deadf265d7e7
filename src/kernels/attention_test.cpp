#include <gtest/gtest.h>

#include <numeric>
#include <random>

#include "kernels/kv_codes.h"
#include "kernels/layout.h"
#include "kernels/ops.h"
#include "kernels/testing.h"

namespace pippin::kernels {
namespace {

using testing::max_abs_difference;
using testing::random_array;
using testing::to_vector;

constexpr int H = 4, Hkv = 2, D = 8, num_slots = 96;
constexpr float scale = 0.35f;

// One sequence of a step: its context's slots in order, the last `rows` of which are new.
struct Part {
  std::vector<int> slots;
  int rows;
};

// Softmax attention of row `query` over contexts[0, visible), in doubles.
void attend_naive(const float* q, const std::vector<float>& keys, const std::vector<float>& values,
                  const std::vector<int>& slots, int visible, std::vector<float>& out,
                  const ScoreOptions& options = {scale}) {
  const int first = options.window > 0 ? std::max(0, visible - options.window) : 0;
  for (int h = 0; h < H; ++h) {
    const int kv = h / (H / Hkv);
    std::vector<double> weights(first, 0.0);
    for (int j = first; j < visible; ++j) {
      double dot = 0;
      for (int d = 0; d < D; ++d) dot += q[h * D + d] * keys[(slots[j] * Hkv + kv) * D + d];
      dot *= options.scale;
      if (options.softcap > 0) dot = options.softcap * std::tanh(dot / options.softcap);
      weights.push_back(std::exp(dot));
    }
    double total = std::accumulate(weights.begin(), weights.end(), 0.0);
    if (options.sinks) total += std::exp(static_cast<double>(to_vector(*options.sinks)[h]));
    for (int d = 0; d < D; ++d) {
      double sum = 0;
      for (int j = 0; j < visible; ++j)
        sum += weights[j] / total * values[(slots[j] * Hkv + kv) * D + d];
      out.push_back(static_cast<float>(sum));
    }
  }
}

std::vector<int> write_slots(const std::vector<Part>& parts) {
  std::vector<int> slots;
  for (const auto& part : parts)
    slots.insert(slots.end(), part.slots.end() - part.rows, part.slots.end());
  return slots;
}

mx::array int_array(const std::vector<int>& values, mx::Shape shape) {
  return mx::array(values.begin(), std::move(shape), mx::int32);
}

// Runs the op on a pool with garbage in unused slots and compares with the naive result over the
// same pool.
void check(const std::vector<Part>& parts, const PagedLayout& layout,
           const ScoreOptions& options = {scale}) {
  const int T = static_cast<int>(write_slots(parts).size());
  const auto q = random_array({T, H, D}, 1), k = random_array({T, Hkv, D}, 2),
             v = random_array({T, Hkv, D}, 3);
  auto k_pool = random_array({num_slots, Hkv, D}, 4), v_pool = random_array({num_slots, Hkv, D}, 5);
  const auto got = to_vector(paged_attention(q, k, v, k_pool, v_pool, layout, options));

  const auto keys = to_vector(k_pool), values = to_vector(v_pool), queries = to_vector(q),
             new_keys = to_vector(k);
  std::vector<float> wanted;
  int row = 0;
  for (const auto& part : parts)
    for (int i = 0; i < part.rows; ++i, ++row) {
      const int position = static_cast<int>(part.slots.size()) - part.rows + i;
      for (int d = 0; d < Hkv * D; ++d)  // the new key is where it was sent
        ASSERT_EQ(keys[part.slots[position] * Hkv * D + d], new_keys[row * Hkv * D + d]);
      attend_naive(queries.data() + row * H * D, keys, values, part.slots, position + 1, wanted,
                   options);
    }
  EXPECT_LT(max_abs_difference(got, wanted), 1e-5f);
}

std::vector<ScoreOptions> all_options() {
  const auto sinks = random_array({H}, 9);
  return {{scale},
          {scale, 5},
          {scale, 1},
          {scale, 0, 0.4f},
          {scale, 0, 0, sinks},
          {scale, 4, 0.6f},
          {scale, 7, 0, sinks},
          {scale, 6, 0.5f, sinks}};
}

std::vector<int> shuffled_slots() {
  std::vector<int> slots(num_slots);
  std::iota(slots.begin(), slots.end(), 0);
  std::shuffle(slots.begin(), slots.end(), std::mt19937(7));
  return slots;
}

std::vector<int> take_slots(int first, int count) {
  static const auto slots = shuffled_slots();
  return {slots.begin() + first, slots.begin() + first + count};
}

TEST(PagedAttention, DecodeRowsOfUnequalContexts) {
  const std::vector<Part> parts = {
      {take_slots(0, 20), 1}, {take_slots(20, 3), 1}, {take_slots(23, 1), 1}};
  std::vector<int> slots;
  std::vector<char> mask;
  for (const auto& part : parts)
    for (std::size_t j = 0; j < 20; ++j) {
      mask.push_back(j < part.slots.size());
      slots.push_back(mask.back() ? part.slots[j] : 0);
    }
  const PagedLayout layout{
      int_array(write_slots(parts), {3}),
      {{0, 3, 1, int_array(slots, {3, 20}), mx::array(mask.begin(), {3, 1, 1, 20}, mx::bool_),
        int_array({20, 3, 1}, {3, 1, 1, 1})}}};
  for (const auto& options : all_options()) check(parts, layout, options);
}

TEST(PagedAttention, ChunksAndDecodeRowsInOneStep) {
  const std::vector<Part> parts = {
      {take_slots(0, 9), 1}, {take_slots(9, 30), 12}, {take_slots(40, 17), 17}};
  std::vector<PagedLayout::Group> groups;
  int row = 0;
  for (const auto& part : parts) {
    groups.push_back(
        {row, 1, part.rows, int_array(part.slots, {1, static_cast<int>(part.slots.size())}), {}});
    row += part.rows;
  }
  for (const auto& options : all_options())
    check(parts, {int_array(write_slots(parts), {row}), groups}, options);
}

// Against the definition over what quantized pools hold, turned back.
TEST(PagedAttention, ReadsCodes) {
  for (const auto format : {cpu::KvFormat::int8, cpu::KvFormat::int4}) {
    const Part part = {take_slots(0, 30), 12};
    const int row = cpu::kv_row_bytes(format, D), old = 18;
    auto k_pool = mx::zeros({num_slots, Hkv, row}, mx::uint8), v_pool = k_pool + k_pool;
    const auto step = [&](int length, int rows) {
      const std::vector<int> slots(part.slots.begin(), part.slots.begin() + length);
      const PagedLayout layout{int_array({slots.end() - rows, slots.end()}, {rows}),
                               {{0, 1, rows, int_array(slots, {1, length}), {}}}};
      const auto q = random_array({rows, H, D}, 1);
      const auto out =
          paged_attention(q, random_array({rows, Hkv, D}, 2), random_array({rows, Hkv, D}, 3),
                          k_pool, v_pool, layout, {scale});
      return std::pair(to_vector(out), to_vector(q));
    };
    step(old, old);
    const auto [got, queries] = step(30, 12);
    const auto stored = [&](const mx::array& pool) {
      return to_vector(
          rotate_heads_back(decode_heads(pool, D, mx::float32), cpu::rotation_block(D)));
    };
    std::vector<float> wanted;
    for (int i = 0; i < part.rows; ++i)
      attend_naive(queries.data() + i * H * D, stored(k_pool), stored(v_pool), part.slots,
                   old + i + 1, wanted);
    EXPECT_LT(max_abs_difference(got, wanted), 1e-5f);
  }
}

TEST(PagedAttention, WritesIntoThePoolInPlace) {
  auto k_pool = mx::zeros({num_slots, Hkv, D}), v_pool = mx::zeros({num_slots, Hkv, D});
  mx::eval(k_pool, v_pool);
  const void* before = k_pool.data<float>();
  const PagedLayout layout{int_array({5}, {1}), {{0, 1, 1, int_array({5}, {1, 1}), {}}}};
  const auto x = random_array({1, Hkv, D}, 6);
  auto out = paged_attention(random_array({1, H, D}, 7), x, x, k_pool, v_pool, layout, {scale});
  mx::eval(out, k_pool, v_pool);
  EXPECT_EQ(k_pool.data<float>(), before);
}

TEST(SegmentAttention, EqualsTheDefinitionWithinEachSegment) {
  const std::vector<int> ends = {5, 6, 12};
  const auto q = random_array({12, H, D}, 8), k = random_array({12, H, D}, 9),
             v = random_array({12, H, D}, 10);
  const auto qs = to_vector(q), ks = to_vector(k), vs = to_vector(v);
  std::vector<float> wanted;
  for (int row = 0, segment = 0; row < 12; ++row) {
    if (row == ends[segment]) ++segment;
    const int begin = segment ? ends[segment - 1] : 0;
    for (int h = 0; h < H; ++h) {
      std::vector<double> sums(D, 0.0);
      double total = 0;
      for (int j = begin; j < ends[segment]; ++j) {
        double dot = 0;
        for (int d = 0; d < D; ++d) dot += qs[(row * H + h) * D + d] * ks[(j * H + h) * D + d];
        const double weight = std::exp(dot * scale);
        total += weight;
        for (int d = 0; d < D; ++d) sums[d] += weight * vs[(j * H + h) * D + d];
      }
      for (int d = 0; d < D; ++d) wanted.push_back(static_cast<float>(sums[d] / total));
    }
  }
  EXPECT_LT(max_abs_difference(to_vector(segment_attention(q, k, v, ends, scale)), wanted), 1e-5f);
}

// More rows than one tile of queries holds.
TEST(SegmentAttention, TilesGiveTheSame) {
  constexpr int n = 3000;
  const auto x = random_array({n, 1, D}, 11);
  const auto whole = mx::fast::scaled_dot_product_attention(mx::reshape(x, {1, 1, n, D}),
                                                            mx::reshape(x, {1, 1, n, D}),
                                                            mx::reshape(x, {1, 1, n, D}), scale);
  EXPECT_LT(max_abs_difference(to_vector(segment_attention(x, x, x, {n}, scale)), to_vector(whole)),
            1e-5f);
}

// ---- the CPU's kernels against MLX's operations

struct Layer {
  const char* name;
  AttentionSpec spec;
  std::optional<Rope> rope;
  bool query_scales = false;
};

std::vector<Layer> layers() {
  const AttentionShape shape = {H, Hkv, D};
  const auto sinks = random_array({H}, 20), each = random_array({D}, 21),
             q_whole = random_array({H * D}, 22), k_whole = random_array({Hkv * D}, 23);
  auto neighbours = plain_rope(4, 100.0f), scaled = plain_rope(D, 100.0f);
  neighbours.interleaved = true;
  scaled.base.reset();
  scaled.factor = 1.5f;
  using cpu::HeadNorms;
  return {
      {"plain", {shape, {scale}}, plain_rope(D, 100.0f)},
      {"no rotation", {shape, {scale}}, {}},
      {"head norms", {shape, {scale}, {HeadNorms::each_head, each, each, 1e-3f}}, scaled},
      {"norms after rotation",
       {shape, {scale}, {HeadNorms::each_head_after_rotation, each, each, 1e-3f}},
       plain_rope(D, 100.0f)},
      {"norms without weights", {shape, {scale}, {HeadNorms::each_head, {}, {}, 1e-3f}}, scaled},
      {"whole rows",
       {shape, {scale}, {HeadNorms::whole_row, q_whole, k_whole, 1e-3f}},
       neighbours,
       true},
      {"window and sinks", {shape, {scale, 5, 0, sinks}}, neighbours},
      {"capped", {shape, {scale, 9, 0.7f}}, scaled, true}};
}

// One sequence of 21 tokens in two chunks, and its next token beside another sequence's.
std::vector<float> outputs(const Layer& layer, const CpuBackendPtr& backend) {
  constexpr int page = 16, num_pages = 6;
  const std::vector<std::int32_t> a = {4, 2}, b = {1};
  const std::vector<std::vector<ContextRows>> steps = {
      {{a, 14, 14}}, {{a, 21, 7}, {b, 3, 3}}, {{a, 22, 1}, {b, 4, 1}}};
  // The kernels lay pages out as they like.
  const auto& shape = layer.spec.shape;
  auto k_pool = host_array({num_pages * page, shape.num_kv_heads, shape.head_dim}, mx::float32),
       v_pool = host_array({num_pages * page, shape.num_kv_heads, shape.value_dim()}, mx::float32);
  const int values = shape.values_in_keys ? 0 : shape.num_kv_heads * shape.value_dim();
  const int width = (shape.num_heads + shape.num_kv_heads) * shape.head_dim + values;
  std::vector<float> all;
  std::uint64_t seed = 30;
  for (const auto& step : steps) {
    std::vector<int> positions;
    for (const auto& part : step)
      for (int i = part.length - part.rows; i < part.length; ++i) positions.push_back(i);
    const int T = static_cast<int>(positions.size());
    RowPositions rows;
    if (layer.rope) rows.angles = rope_angles(int_array(positions, {1, T}), true, *layer.rope);
    if (layer.query_scales) rows.query_scales = random_array({T}, seed + 100);
    const auto qkv = random_array({T, width}, seed++);
    const auto copy = mx::contiguous(qkv + mx::zeros_like(qkv));  // kernels turn queries in place
    const auto out = to_vector(
        causal_attention(copy, layer.spec, rows, k_pool, v_pool, make_layout(step, page, backend)));
    all.insert(all.end(), out.begin(), out.end());
  }
  return all;
}

TEST(CausalAttention, CpuKernelsEqualMlxOperations) {
  const auto device = mx::default_device();
  mx::set_default_device(mx::Device::cpu);
  const auto backend = std::make_shared<CpuBackend>(CpuOptions{.threads = 2});
  const auto plain = outputs(layers().front(), backend);
  for (const auto& layer : layers()) {
    const auto got = outputs(layer, backend);
    EXPECT_LT(max_abs_difference(got, outputs(layer, nullptr)), 2e-5f) << layer.name;
    if (std::string(layer.name) != "plain") {
      EXPECT_GT(max_abs_difference(got, plain), 1e-2f) << layer.name << " changes nothing";
    }
  }
  mx::set_default_device(device);
}

// Values of another size than keys, and values that are their keys' first numbers.
TEST(CausalAttention, ValuesOfTheirOwnSizeOnBothWays) {
  const auto device = mx::default_device();
  mx::set_default_device(mx::Device::cpu);
  const auto backend = std::make_shared<CpuBackend>(CpuOptions{.threads = 2});
  auto neighbours = plain_rope(8, 100.0f);
  neighbours.interleaved = true;
  const AttentionShape narrow = {H, Hkv, 24, 8}, wide = {H, Hkv, D, 24},
                       latent = {3, 1, 24, 16, true, 16};
  const std::vector<Layer> all = {
      {"narrow", {narrow, {scale}}, neighbours},
      {"wide", {wide, {scale, 5, 0, random_array({H}, 20)}}, neighbours},
      {"latent", {latent, {scale}}, neighbours},
      {"latent, scaled", {latent, {scale, 9, 0.7f}}, plain_rope(8, 100.0f), true}};
  for (const auto& layer : all)
    EXPECT_LT(max_abs_difference(outputs(layer, backend), outputs(layer, nullptr)), 2e-5f)
        << layer.name;
  mx::set_default_device(device);
}

// Against the definition over what the pool holds: numbers, or codes of heads that are rotated so that values may be turned back alone.
TEST(LatentAttention, ValuesAreTheKeysFirstNumbers) {
  constexpr int heads = 3, key_dim = 24, value_dim = 16, length = 20, chunk = 6;
  const Part part = {take_slots(0, length), chunk};
  for (const int bits : {0, 8, 4}) {
    const auto format = bits == 8 ? cpu::KvFormat::int8 : cpu::KvFormat::int4;
    auto pool = bits ? mx::zeros({num_slots, 1, cpu::kv_row_bytes(format, key_dim)}, mx::uint8)
                     : mx::zeros({num_slots, 1, key_dim});
    const auto step = [&](int end, int rows) {
      const std::vector<int> slots(part.slots.begin(), part.slots.begin() + end);
      const PagedLayout layout{int_array({slots.end() - rows, slots.end()}, {rows}),
                               {{0, 1, rows, int_array(slots, {1, end}), {}}}};
      const auto q = random_array({rows, heads, key_dim}, 1);
      return std::pair(to_vector(latent_attention(q, random_array({rows, 1, key_dim}, 2), value_dim,
                                                  pool, layout, {scale})),
                       to_vector(q));
    };
    step(length - chunk, length - chunk);
    const auto [got, queries] = step(length, chunk);
    const int block = cpu::rotation_block(key_dim, value_dim);
    const auto keys =
        to_vector(bits ? rotate_heads_back(decode_heads(pool, key_dim, mx::float32), block) : pool);
    std::vector<float> wanted;
    for (int row = 0; row < chunk * heads; ++row) {
      double total = 0, sums[value_dim] = {};
      for (int j = 0; j <= length - chunk + row / heads; ++j) {
        const float* key = keys.data() + part.slots[static_cast<std::size_t>(j)] * key_dim;
        double dot = 0;
        for (int d = 0; d < key_dim; ++d)
          dot += static_cast<double>(queries[static_cast<std::size_t>(row * key_dim + d)]) *
                 static_cast<double>(key[d]);
        const double weight = std::exp(dot * static_cast<double>(scale));
        total += weight;
        for (int d = 0; d < value_dim; ++d) sums[d] += weight * static_cast<double>(key[d]);
      }
      for (const double sum : sums) wanted.push_back(static_cast<float>(sum / total));
    }
    EXPECT_LT(max_abs_difference(got, wanted), 2e-5f) << bits;
  }
}

}  // namespace
}  // namespace pippin::kernels
