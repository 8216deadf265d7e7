// Paged and segment attention alone. Decoding prints the bytes of keys and values that it reads (its bound is
// read_bandwidth's figure), prefill and segments the multiplications and additions that causality leaves.
//
//   bench_cpu_attention [--benchmark_filter=...]      PIPPIN_CPU and PIPPIN_BENCH_THREADS choose the rest
#include <benchmark/benchmark.h>

#include <algorithm>
#include <cstdlib>
#include <numeric>
#include <random>
#include <vector>

#include "kernels/cpu/attention.h"
#include "kernels/cpu/memory.h"
#include "kernels/cpu/rope.h"

namespace {

using namespace pippin::cpu;

Team& team() {
  const char* threads = std::getenv("PIPPIN_BENCH_THREADS");
  static Team team(threads ? std::atoi(threads) : usable_cores());
  return team;
}

std::vector<float> random_floats(std::size_t count) {
  std::mt19937 random(1);
  std::uniform_real_distribution<float> number(-1, 1);
  std::vector<float> x(count);
  for (auto& value : x) value = number(random);
  return x;
}

// The pools of several layers, so that no cache holds what a step reads, and a step's rows: `rows` of each
// of `sequences` that are `length` long.
struct Step {
  static constexpr int page_size = 16;

  KvFormat format;
  int num_heads, num_kv_heads, head_dim, length, rows, sequences, layers;
  std::vector<std::uint8_t> k, v;
  std::vector<std::int32_t> pages;
  std::vector<float> q, out;
  std::vector<AttentionPart> parts;
  AttentionScratch scratch;

  Step(KvFormat format, int num_heads, int num_kv_heads, int head_dim, int length, int rows,
       int sequences = 1)
      : format(format),
        num_heads(num_heads),
        num_kv_heads(num_kv_heads),
        head_dim(head_dim),
        length(length),
        rows(rows),
        sequences(sequences) {
    layers =
        static_cast<int>(std::max<std::size_t>((std::size_t{256} << 20) / (2 * layer_bytes()), 1));
    k.resize(layer_bytes() * static_cast<std::size_t>(layers));
    v.resize(k.size());
    wish_for_huge_pages(k.data(), k.size());
    wish_for_huge_pages(v.data(), v.size());
    write_rows();
    std::mt19937 random(2);
    pages.resize(static_cast<std::size_t>(sequences * pages_each()));
    std::iota(pages.begin(), pages.end(), 0);
    std::shuffle(pages.begin(), pages.end(), random);
    q = random_floats(static_cast<std::size_t>(sequences * rows * num_heads * head_dim));
    out.resize(q.size());
    for (int i = 0; i < sequences; ++i)
      parts.push_back({pages.data() + i * pages_each(), length, rows, i * rows});
  }

  int pages_each() const { return (length + page_size - 1) / page_size; }
  std::size_t layer_bytes() const {
    return static_cast<std::size_t>(sequences * pages_each() * page_size) *
           static_cast<std::size_t>(num_kv_heads * kv_row_bytes(format, head_dim));
  }
  KvPools pools(int layer) {
    const std::size_t first = layer_bytes() * static_cast<std::size_t>(layer);
    return {k.data() + first, v.data() + first, format, num_kv_heads, head_dim, page_size};
  }

  // The same random keys and values in all layers.
  void write_rows() {
    const int slots = sequences * pages_each() * page_size,
              width = (num_heads + 2 * num_kv_heads) * head_dim;
    const auto qkv = random_floats(static_cast<std::size_t>(16 * width));
    std::vector<float> out(static_cast<std::size_t>(16 * num_heads * head_dim));
    for (int layer = 0; layer < layers; ++layer)
      for (int first = 0; first < slots; first += 16) {
        std::vector<std::int32_t> rows(16);
        std::iota(rows.begin(), rows.end(), first);
        rope_and_store(team(), kernels(),
                       {.qkv = qkv.data(),
                        .qkv_stride = width,
                        .num_heads = num_heads,
                        .slots = rows.data(),
                        .q = out.data(),
                        .q_stride = num_heads * head_dim,
                        .pools = pools(layer)},
                       16);
      }
  }

  void run(int layer) {
    paged_attention(team(), kernels(),
                    {.q = q.data(),
                     .q_stride = num_heads * head_dim,
                     .num_heads = num_heads,
                     .pools = pools(layer),
                     .parts = parts,
                     .scale = 0.09f,
                     .out = out.data(),
                     .out_stride = num_heads * head_dim},
                    scratch);
  }
};

// Arguments: heads, kv heads, D, context, sequences.
template <KvFormat format>
void decode(benchmark::State& state) {
  Step step(format, static_cast<int>(state.range(0)), static_cast<int>(state.range(1)),
            static_cast<int>(state.range(2)), static_cast<int>(state.range(3)), 1,
            static_cast<int>(state.range(4)));
  int layer = 0;
  for (auto _ : state) {
    step.run(layer);
    layer = (layer + 1) % step.layers;
  }
  state.counters["bytes/s"] = benchmark::Counter(static_cast<double>(2 * step.layer_bytes()),
                                                 benchmark::Counter::kIsIterationInvariantRate);
}

template <KvFormat format>
void prefill(benchmark::State& state) {
  const int length = static_cast<int>(state.range(3));
  Step step(format, static_cast<int>(state.range(0)), static_cast<int>(state.range(1)),
            static_cast<int>(state.range(2)), length, length);
  int layer = 0;
  for (auto _ : state) {
    step.run(layer);
    layer = (layer + 1) % step.layers;
  }
  const double pairs = 0.5 * length * (length + 1.0) * step.num_heads;
  state.counters["FLOPS"] = benchmark::Counter(4.0 * pairs * step.head_dim,
                                               benchmark::Counter::kIsIterationInvariantRate);
}

// Arguments: rows, heads, D.
void segments(benchmark::State& state) {
  const int rows = static_cast<int>(state.range(0)), heads = static_cast<int>(state.range(1)),
            head_dim = static_cast<int>(state.range(2)), width = heads * head_dim;
  const auto qkv = random_floats(static_cast<std::size_t>(rows * 3 * width));
  const auto angles = random_floats(static_cast<std::size_t>(rows * head_dim / 2));
  std::vector<float> out(static_cast<std::size_t>(rows * width));
  AttentionScratch scratch;
  for (auto _ : state)
    segment_attention(team(), kernels(),
                      {.q = qkv.data(),
                       .k = qkv.data() + width,
                       .v = qkv.data() + 2 * width,
                       .stride = 3 * width,
                       .num_heads = heads,
                       .head_dim = head_dim,
                       .segment_ends = {&rows, 1},
                       .cos = angles.data(),
                       .sin = angles.data(),
                       .scale = 0.125f,
                       .out = out.data(),
                       .out_stride = width},
                      scratch);
  state.counters["FLOPS"] =
      benchmark::Counter(4.0 * rows * rows * width, benchmark::Counter::kIsIterationInvariantRate);
}

// Arguments: rows, tokens from row to row: 1 in a prompt; decoding's rows are written far apart, to memory
// that no cache holds. Qwen3-0.6B's heads.
template <KvFormat format>
void rope(benchmark::State& state) {
  constexpr int H = 16, Hkv = 8, D = 128, page_size = 16;
  const auto rows = static_cast<std::size_t>(state.range(0)),
             step = static_cast<std::size_t>(state.range(1));
  const auto qkv = random_floats(rows * (H + 2 * Hkv) * D), angles = random_floats(rows * D / 2);
  const auto norm = random_floats(D);
  std::vector<float> q(rows * H * D);
  const std::size_t layer_tokens = (rows * step + page_size - 1) / page_size * page_size;
  const auto layer_bytes = layer_tokens * Hkv * static_cast<std::size_t>(kv_row_bytes(format, D));
  const std::size_t layers = step == 1 ? 1 : (std::size_t{128} << 20) / layer_bytes;
  std::vector<std::uint8_t> k(layers * layer_bytes), v(k.size());
  wish_for_huge_pages(k.data(), k.size());
  wish_for_huge_pages(v.data(), v.size());
  std::vector<std::int32_t> slots(rows);
  for (std::size_t i = 0; i < rows; ++i) slots[i] = static_cast<std::int32_t>(i * step);
  std::size_t layer = 0;
  for (auto _ : state) {
    const std::size_t first = layer++ % layers * layer_bytes;
    rope_and_store(team(), kernels(),
                   {.qkv = qkv.data(),
                    .qkv_stride = (H + 2 * Hkv) * D,
                    .num_heads = H,
                    .norms = cpu::HeadNorms::each_head,
                    .q_norm = norm.data(),
                    .k_norm = norm.data(),
                    .eps = 1e-6f,
                    .cos = angles.data(),
                    .sin = angles.data(),
                    .rotary_dim = D,
                    .slots = slots.data(),
                    .q = q.data(),
                    .q_stride = H * D,
                    .pools = {k.data() + first, v.data() + first, format, Hkv, D, page_size}},
                   static_cast<std::int64_t>(rows));
  }
  state.counters["rows/s"] =
      benchmark::Counter(static_cast<double>(rows), benchmark::Counter::kIsIterationInvariantRate);
}

void decode_shapes(benchmark::internal::Benchmark* benchmark) {
  benchmark->UseRealTime()->ArgsProduct({{16}, {8}, {128}, {128, 512, 8192, 32768}, {1}});
  for (const int heads : {8, 32, 40, 64}) benchmark->Args({heads, 8, 128, 8192, 1});
  benchmark->Args({16, 8, 128, 160, 4})->Args({16, 8, 128, 160, 16});
}
void prefill_shapes(benchmark::internal::Benchmark* benchmark) {
  benchmark->UseRealTime()->ArgsProduct({{16}, {8}, {128}, {128, 512, 4096}});
}
void rope_shapes(benchmark::internal::Benchmark* benchmark) {
  benchmark->UseRealTime()->Args({1, 16})->Args({4, 16})->Args({16, 16})->Args({16, 1})->Args(
      {512, 1});
}
BENCHMARK(decode<KvFormat::f16>)->Apply(decode_shapes);
BENCHMARK(decode<KvFormat::int8>)->Apply(decode_shapes);
BENCHMARK(decode<KvFormat::int4>)->Apply(decode_shapes);
BENCHMARK(prefill<KvFormat::f16>)->Apply(prefill_shapes);
BENCHMARK(prefill<KvFormat::int8>)->Apply(prefill_shapes);
BENCHMARK(prefill<KvFormat::int4>)->Apply(prefill_shapes);
BENCHMARK(segments)->UseRealTime()->Args({784, 16, 64})->Args({4096, 16, 64})->Args({784, 16, 72});
BENCHMARK(rope<KvFormat::f16>)->Apply(rope_shapes);
BENCHMARK(rope<KvFormat::int8>)->Apply(rope_shapes);
BENCHMARK(rope<KvFormat::int4>)->Apply(rope_shapes);

}  // namespace

BENCHMARK_MAIN();
