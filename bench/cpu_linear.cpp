// Products of the CPU kernels in the shapes of Qwen3-0.6B: GB/s of weights read, and GOPS (two a
// multiply-add). Weights are random bytes. `PIPPIN_CPU=avx2 bench_cpu_linear` for another instruction set.
#include <benchmark/benchmark.h>

#include <cstring>
#include <random>
#include <vector>

#include "kernels/cpu/linear.h"

namespace {

using namespace pippin::cpu;

// Enough matrices that they don't stay in the caches between uses, as a model's don't.
constexpr std::size_t wanted_bytes = std::size_t{256} << 20;

std::vector<PackedMatrix> random_matrices(Team& team, int n, int k, int bits) {
  std::mt19937 random(1);
  const auto size = [&](std::size_t per_row) { return static_cast<std::size_t>(n) * per_row; };
  std::vector<std::uint32_t> weight(size(static_cast<std::size_t>(k * bits / 32)));
  for (auto& word : weight) word = random();
  const std::vector<std::uint16_t> scales(size(static_cast<std::size_t>(k / 64)), 0x3c00);
  const auto bytes = weight.size() * 4 + scales.size() * 4;
  Arena arena;
  std::vector<PackedMatrix> matrices;
  for (std::size_t i = 0; i < std::max<std::size_t>(1, wanted_bytes / bytes); ++i)
    matrices.emplace_back(
        team, arena,
        QuantizedSource{weight.data(), scales.data(), scales.data(), n, k, 64, bits, Format::bf16});
  return matrices;
}

void quantized(benchmark::State& state) {
  const int n = static_cast<int>(state.range(0)), k = static_cast<int>(state.range(1));
  const int rows = static_cast<int>(state.range(2)), bits = static_cast<int>(state.range(3));
  Team team(usable_cores());
  Scratch scratch;
  const auto matrices = random_matrices(team, n, k, bits);
  const std::vector<float> x(static_cast<std::size_t>(rows * k), 0.5f);
  std::vector<float> y(static_cast<std::size_t>(rows) * static_cast<std::size_t>(n));
  std::size_t next = 0;
  for (auto _ : state) {
    const PackedMatrix* part = &matrices[next++ % matrices.size()];
    linear(team, kernels(), scratch, {x.data(), k, rows, {&part, 1}, false, {y.data(), n}});
  }
  const auto done = static_cast<double>(state.iterations());
  state.counters["GB/s"] = benchmark::Counter(
      done * static_cast<double>(matrices[0].bytes()) * 1e-9, benchmark::Counter::kIsRate);
  state.counters["GOPS"] = benchmark::Counter(done * 2e-9 * rows * n * static_cast<double>(k),
                                              benchmark::Counter::kIsRate);
}

BENCHMARK(quantized)
    ->ArgNames({"n", "k", "rows", "bits"})
    ->ArgsProduct({{6144}, {1024}, {1, 2, 4, 8, 16, 128, 512}, {4}})
    ->ArgsProduct({{1024}, {3072}, {1, 8, 16, 512}, {4}})
    ->ArgsProduct({{151936}, {1024}, {1, 16}, {4}})
    ->ArgsProduct({{6144}, {1024}, {1, 16, 512}, {8}})
    ->UseRealTime()
    ->Unit(benchmark::kMicrosecond);

}  // namespace

BENCHMARK_MAIN();
