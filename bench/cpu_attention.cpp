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

// The pools of several layers, so that no cache holds what a step reads, and a step's rows.
struct Step {
  static constexpr int page_size = 16;

  int num_heads, num_kv_heads, head_dim, length, rows, layers;
  std::vector<std::uint16_t> k, v;
  std::vector<std::int32_t> pages;
  std::vector<float> q, out;
  AttentionScratch scratch;

  Step(int num_heads, int num_kv_heads, int head_dim, int length, int rows)
      : num_heads(num_heads),
        num_kv_heads(num_kv_heads),
        head_dim(head_dim),
        length(length),
        rows(rows) {
    const std::size_t numbers = layer_numbers();
    layers =
        static_cast<int>(std::clamp<std::size_t>((std::size_t{128} << 20) / (4 * numbers), 1, 64));
    std::mt19937 random(2);
    k.resize(numbers * static_cast<std::size_t>(layers));
    v.resize(k.size());
    for (auto& x : k)
      x = static_cast<std::uint16_t>(0x3000 + (random() & 0x8bff));  // within [-0.5, 0.5]
    for (auto& x : v) x = static_cast<std::uint16_t>(0x3000 + (random() & 0x8bff));
    pages.resize(static_cast<std::size_t>(num_pages()));
    std::iota(pages.begin(), pages.end(), 0);
    std::shuffle(pages.begin(), pages.end(), random);
    q = random_floats(static_cast<std::size_t>(rows * num_heads * head_dim));
    out.resize(q.size());
  }

  int num_pages() const { return (length + page_size - 1) / page_size; }
  std::size_t layer_numbers() const {
    return static_cast<std::size_t>(num_pages() * page_size) *
           static_cast<std::size_t>(num_kv_heads * head_dim);
  }

  void run(int layer) {
    const std::size_t first = layer_numbers() * static_cast<std::size_t>(layer);
    const AttentionPart part = {pages.data(), length, rows, 0};
    paged_attention(team(), kernels(),
                    {.q = q.data(),
                     .q_stride = num_heads * head_dim,
                     .num_heads = num_heads,
                     .pools = {k.data() + first, v.data() + first, Format::f16, num_kv_heads,
                               head_dim, page_size},
                     .parts = {&part, 1},
                     .scale = 0.09f,
                     .out = out.data(),
                     .out_stride = num_heads * head_dim},
                    scratch);
  }
};

// Arguments: heads, kv heads, D, context.
void decode(benchmark::State& state) {
  Step step(static_cast<int>(state.range(0)), static_cast<int>(state.range(1)),
            static_cast<int>(state.range(2)), static_cast<int>(state.range(3)), 1);
  int layer = 0;
  for (auto _ : state) {
    step.run(layer);
    layer = (layer + 1) % step.layers;
  }
  state.counters["bytes/s"] = benchmark::Counter(static_cast<double>(4 * step.layer_numbers()),
                                                 benchmark::Counter::kIsIterationInvariantRate);
}

void prefill(benchmark::State& state) {
  const int length = static_cast<int>(state.range(3));
  Step step(static_cast<int>(state.range(0)), static_cast<int>(state.range(1)),
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

// Arguments: rows. Qwen3-0.6B's heads.
void rope(benchmark::State& state) {
  constexpr int H = 16, Hkv = 8, D = 128;
  const auto rows = static_cast<std::size_t>(state.range(0));
  const auto qkv = random_floats(rows * (H + 2 * Hkv) * D), angles = random_floats(rows * D / 2);
  const auto norm = random_floats(D);
  std::vector<float> q(rows * H * D);
  std::vector<std::uint16_t> k((rows + 16) * Hkv * D), v(k.size());
  std::vector<std::int32_t> slots(rows);
  std::iota(slots.begin(), slots.end(), 0);
  for (auto _ : state)
    rope_and_store(team(), kernels(),
                   {.qkv = qkv.data(),
                    .qkv_stride = (H + 2 * Hkv) * D,
                    .num_heads = H,
                    .q_norm = norm.data(),
                    .k_norm = norm.data(),
                    .eps = 1e-6f,
                    .cos = angles.data(),
                    .sin = angles.data(),
                    .rotary_dim = D,
                    .slots = slots.data(),
                    .q = q.data(),
                    .q_stride = H * D,
                    .pools = {k.data(), v.data(), Format::f16, Hkv, D, 16}},
                   static_cast<std::int64_t>(rows));
  state.counters["rows/s"] =
      benchmark::Counter(static_cast<double>(rows), benchmark::Counter::kIsIterationInvariantRate);
}

BENCHMARK(decode)->UseRealTime()->ArgsProduct({{16}, {8}, {128}, {128, 512, 8192, 32768}});
BENCHMARK(decode)
    ->UseRealTime()
    ->Args({8, 8, 128, 8192})
    ->Args({32, 8, 128, 8192})
    ->Args({40, 8, 128, 8192})
    ->Args({64, 8, 128, 8192});
BENCHMARK(prefill)->UseRealTime()->ArgsProduct({{16}, {8}, {128}, {128, 512, 4096}});
BENCHMARK(segments)->UseRealTime()->Args({784, 16, 64})->Args({4096, 16, 64})->Args({784, 16, 72});
BENCHMARK(rope)->UseRealTime()->Arg(1)->Arg(16)->Arg(512);

}  // namespace

BENCHMARK_MAIN();
