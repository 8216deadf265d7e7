// Choosing tokens from logits of Qwen3's vocabulary: what each filter costs, and how fast the logits
// are read. `--benchmark_filter=argmax`, PIPPIN_CPU=avx2 and the like choose among them.
#include <benchmark/benchmark.h>

#include <random>
#include <string>
#include <vector>

#include "kernels/cpu/sampling.h"

namespace {

using namespace pippin::cpu;

constexpr std::int64_t vocabulary = 151936;

// Logits of random normal numbers: with a spread of 4 a few tokens hold most of the mass, as where a
// model is sure; with 0.5 tens of thousands share it, the worst case of top_p.
std::vector<float> random_logits(std::int64_t rows, float spread) {
  std::mt19937 random(1);
  std::normal_distribution<float> normal(0, spread);
  std::vector<float> logits(static_cast<std::size_t>(rows * vocabulary));
  for (auto& x : logits) x = normal(random);
  return logits;
}

void choose(benchmark::State& state, const Sampling& options, float spread) {
  const std::int64_t count = state.range(0);
  const auto logits = random_logits(count, spread);
  std::vector<Sampling> rows(static_cast<std::size_t>(count), options);
  for (std::size_t i = 0; i < rows.size(); ++i)
    rows[i].uniform = (static_cast<float>(i) + 0.5f) / static_cast<float>(count);
  Team team(usable_cores());
  for (auto _ : state)
    benchmark::DoNotOptimize(sample(team, kernels(), logits.data(), vocabulary, rows));
  state.SetBytesProcessed(state.iterations() * count * vocabulary * 4);
  state.SetLabel(std::string(name_of(kernels().isa)));
}

void add(const std::string& name, const Sampling& options, float spread = 4) {
  benchmark::RegisterBenchmark(name.c_str(), choose, options, spread)
      ->Arg(1)
      ->Arg(16)
      ->UseRealTime()
      ->Unit(benchmark::kMicrosecond);
}

Sampling with(float temperature, int top_k = 0, float top_p = 1, float min_p = 0) {
  Sampling s;
  s.temperature = temperature;
  s.top_k = top_k;
  s.top_p = top_p;
  s.min_p = min_p;
  return s;
}

}  // namespace

int main(int argc, char** argv) {
  add("argmax", with(0));
  add("temperature", with(0.7f));
  add("top_k_20", with(0.7f, 20));
  add("top_k_20_top_p_0.8", with(0.7f, 20, 0.8f));
  add("top_k_5000", with(0.7f, 5000));
  add("top_p_0.9", with(0.7f, 0, 0.9f));
  add("top_p_0.9_flat", with(1, 0, 0.9f), 0.5f);
  add("min_p_0.05", with(0.7f, 0, 1, 0.05f));
  auto logprobs = with(0);
  logprobs.top_logprobs = 20;
  add("argmax_logprobs_20", logprobs);
  const std::vector<TokenCount> counts(1000, TokenCount{1, 1});
  auto penalised = with(0);
  penalised.frequency_penalty = 0.1f;
  penalised.counts = counts;
  add("argmax_penalties", penalised);
  benchmark::Initialize(&argc, argv);
  benchmark::RunSpecifiedBenchmarks();
}
