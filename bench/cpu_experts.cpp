// A layer of experts by the CPU kernels, in the shapes of Qwen3-30B-A3B (128 experts of 768, 8 a token, affine 4 bits) and
// gpt-oss-20b (32 experts of 2880, 4 a token, mxfp4): GB/s of weights of the chosen experts, and GOPS. Weights are random
// bytes, and every call goes to other experts. `PIPPIN_CPU=avx2 bench_cpu_experts` for another instruction set.
#include <benchmark/benchmark.h>

#include <random>
#include <set>
#include <vector>

#include "kernels/cpu/experts.h"

namespace {

using namespace pippin::cpu;

struct Model {
  int num_experts, top_k, hidden, width;
  Scheme scheme;
};
constexpr Model models[] = {{128, 8, 2048, 768, Scheme::affine},
                            {32, 4, 2880, 2880, Scheme::mxfp4}};

PackedBank random_bank(Team& team, Arena& arena, const Model& m, int n, int k) {
  const bool affine = m.scheme == Scheme::affine;
  std::mt19937 random(1);
  std::vector<std::uint32_t> weight(static_cast<std::size_t>(n * k / 8));
  for (auto& word : weight) word = random();
  // bf16 numbers about 1e-2, or bytes that mean 2^-7.
  const std::vector<std::uint16_t> numbers(static_cast<std::size_t>(n * k / 64), 0x3c00);
  const std::vector<std::uint8_t> bytes(static_cast<std::size_t>(n * k / 32), 120);
  const void* scales = affine ? static_cast<const void*>(numbers.data()) : bytes.data();
  const QuantizedSource source{
      weight.data(), scales,  affine ? scales : nullptr, n, k, affine ? 64 : 32, 4,
      Format::bf16,  m.scheme};
  PackedBank bank;
  for (int e = 0; e < m.num_experts; ++e) bank.emplace_back(team, arena, source);
  return bank;
}

// Distinct experts for each token.
std::vector<std::int32_t> choose(const Model& m, int rows, std::mt19937& random) {
  std::vector<std::int32_t> chosen;
  for (int row = 0; row < rows; ++row) {
    std::set<std::int32_t> own;
    while (static_cast<int>(own.size()) < m.top_k)
      own.insert(static_cast<std::int32_t>(random() % static_cast<unsigned>(m.num_experts)));
    chosen.insert(chosen.end(), own.begin(), own.end());
  }
  return chosen;
}

void layer(benchmark::State& state) {
  const Model m = models[state.range(0)];
  const int rows = static_cast<int>(state.range(1));
  Team team(usable_cores());
  Arena arena;
  const auto gate = random_bank(team, arena, m, m.width, m.hidden),
             up = random_bank(team, arena, m, m.width, m.hidden),
             down = random_bank(team, arena, m, m.hidden, m.width);
  ExpertsScratch scratch;
  const std::vector<float> x(static_cast<std::size_t>(rows * m.hidden), 0.5f),
      weights(static_cast<std::size_t>(rows * m.top_k), 0.125f);
  std::vector<float> y(x.size());
  std::mt19937 random(7);
  double bytes = 0;
  for (auto _ : state) {
    const auto chosen = choose(m, rows, random);
    const std::set<std::int32_t> distinct(chosen.begin(), chosen.end());
    bytes += static_cast<double>(distinct.size()) *
             static_cast<double>(gate[0].bytes() + up[0].bytes() + down[0].bytes());
    experts(team, kernels(), scratch,
            {x.data(), rows, chosen.data(), weights.data(), m.top_k, gate, &up, down, nullptr,
             nullptr, nullptr, Activation::silu, false, nullptr, y.data()});
  }
  state.counters["GB/s"] = benchmark::Counter(bytes * 1e-9, benchmark::Counter::kIsRate);
  state.counters["GOPS"] = benchmark::Counter(
      static_cast<double>(state.iterations()) * 6e-9 * rows * m.top_k * m.hidden * m.width,
      benchmark::Counter::kIsRate);
}

BENCHMARK(layer)
    ->ArgNames({"model", "rows"})
    ->ArgsProduct({{0, 1}, {1, 4, 16, 512}})
    ->MeasureProcessCPUTime()
    ->UseRealTime();

}  // namespace

BENCHMARK_MAIN();
