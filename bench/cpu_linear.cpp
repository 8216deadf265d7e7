// Products of the CPU kernels in the shapes of Qwen3-0.6B and a vision tower: GB/s of weights read, and GOPS (two a
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

template <class Source>
std::vector<PackedMatrix> matrices_of(Team& team, const Source& source, std::size_t bytes) {
  Arena arena;
  std::vector<PackedMatrix> matrices;
  for (std::size_t i = 0; i < std::max<std::size_t>(1, wanted_bytes / bytes); ++i)
    matrices.emplace_back(team, arena, source);
  return matrices;
}

std::vector<PackedMatrix> random_matrices(Team& team, int n, int k, int bits) {
  std::mt19937 random(1);
  const auto size = [&](std::size_t per_row) { return static_cast<std::size_t>(n) * per_row; };
  std::vector<std::uint32_t> weight(size(static_cast<std::size_t>(k * bits / 32)));
  for (auto& word : weight) word = random();
  const std::vector<std::uint16_t> scales(size(static_cast<std::size_t>(k / 64)), 0x3c00);
  return matrices_of(
      team,
      QuantizedSource{weight.data(), scales.data(), scales.data(), n, k, 64, bits, Format::bf16},
      weight.size() * 4 + scales.size() * 4);
}

// Matrices of bfloat16 numbers around 1.
std::vector<PackedMatrix> plain_matrices(Team& team, int n, int k) {
  std::mt19937 random(1);
  std::vector<std::uint16_t> weight(static_cast<std::size_t>(n) * static_cast<std::size_t>(k));
  for (auto& w : weight) w = static_cast<std::uint16_t>(0x3f80 | (random() & 0x807f));
  return matrices_of(team, DenseSource{weight.data(), n, k, Format::bf16}, weight.size() * 2);
}

void run(benchmark::State& state, Team& team, const std::vector<PackedMatrix>& matrices, int rows,
         bool exact) {
  Scratch scratch;
  const int n = matrices[0].n(), k = matrices[0].k();
  const std::vector<float> x(static_cast<std::size_t>(rows * k), 0.5f);
  std::vector<float> y(static_cast<std::size_t>(rows) * static_cast<std::size_t>(n));
  std::size_t next = 0;
  for (auto _ : state) {
    const PackedMatrix* part = &matrices[next++ % matrices.size()];
    linear(team, kernels(), scratch, {x.data(), k, rows, {&part, 1}, false, {y.data(), n}, exact});
  }
  const auto done = static_cast<double>(state.iterations());
  state.counters["GB/s"] = benchmark::Counter(
      done * static_cast<double>(matrices[0].bytes()) * 1e-9, benchmark::Counter::kIsRate);
  state.counters["GOPS"] = benchmark::Counter(done * 2e-9 * rows * n * static_cast<double>(k),
                                              benchmark::Counter::kIsRate);
}

void quantized(benchmark::State& state) {
  const int n = static_cast<int>(state.range(0)), k = static_cast<int>(state.range(1));
  Team team(usable_cores());
  run(state, team, random_matrices(team, n, k, static_cast<int>(state.range(3))),
      static_cast<int>(state.range(2)), false);
}

// The vision tower of Qwen3-VL-2B: 784 patches, or 196 merged rows.
void bf16(benchmark::State& state) {
  const int n = static_cast<int>(state.range(0)), k = static_cast<int>(state.range(1));
  Team team(usable_cores());
  run(state, team, plain_matrices(team, n, k), static_cast<int>(state.range(2)),
      state.range(3) != 0);
}

BENCHMARK(quantized)
    ->ArgNames({"n", "k", "rows", "bits"})
    ->ArgsProduct({{6144}, {1024}, {1, 2, 4, 8, 16, 128, 512}, {4}})
    ->ArgsProduct({{1024}, {3072}, {1, 8, 16, 512}, {4}})
    ->ArgsProduct({{151936}, {1024}, {1, 16}, {4}})
    ->ArgsProduct({{6144}, {1024}, {1, 16, 512}, {8}})
    ->UseRealTime()
    ->Unit(benchmark::kMicrosecond);

BENCHMARK(bf16)
    ->ArgNames({"n", "k", "rows", "exact"})
    ->ArgsProduct({{1024, 3072, 4096}, {1024}, {784}, {0, 1}})
    ->ArgsProduct({{1024}, {4096}, {784}, {0, 1}})
    ->ArgsProduct({{4096}, {4096}, {196}, {0, 1}})
    ->ArgsProduct({{4096}, {1024}, {1, 4, 16}, {0, 1}})
    ->UseRealTime()
    ->Unit(benchmark::kMicrosecond);

}  // namespace

BENCHMARK_MAIN();
