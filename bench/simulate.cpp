// A million requests of ten thousand users through the real Scheduler and PageCache, with a machine that only takes time, on a
// virtual clock: how long they wait for the first token and between tokens, as their questions come closer together. Prints a
// table (Markdown), or with --json an object a line for bench/load/curves.py.
//
//   simulate [--requests N] [--json]
//
// Many users who each ask seldom make a Poisson process together, whatever their habits (Palm and Khintchine), so that only
// how often they ask counts. The machine is what was read on one H200 for Qwen3-0.6B at 4 bit (DESIGN.md, section 7): 276, 676
// and 1,666 tok/s at 1, 4 and 16 sequences, 44,800 tok/s of prompts.
#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <random>
#include <vector>

#include "engine/schedule/simulation.h"

namespace {

using namespace pippin::engine;

constexpr int num_users = 10'000;
constexpr SimulatedMachine machine{.step_ms = 3.2, .decode_row_ms = 0.4, .prefill_token_ms = 0.022};
constexpr int page_size = 16, num_pages = 16'384;  // 262,144 tokens
// Seconds between a user's questions.
constexpr std::array<double, 6> pauses_s = {1000, 500, 333, 286, 250, 238};

// Questions of some hundred words behind one of sixteen system prompts, answers of some thirty tokens.
class Users {
 public:
  explicit Users(double pause_s) : gap_(num_users / pause_s / 1000) {}

  std::vector<SimulatedRequest> ask(int count) {
    std::vector<SimulatedRequest> requests;
    double now_ms = 0;
    for (int i = 0; i < count; ++i) {
      SimulatedRequest request;
      request.arrival_ms = now_ms += gap_(random_);
      request.group = static_cast<int>(random_() % 16);
      request.shared_tokens = 256;
      request.prompt_tokens = request.shared_tokens + at_most(prompt_(random_), 4096);
      request.answer_tokens = at_most(answer_(random_), 1024);
      requests.push_back(request);
    }
    return requests;
  }

 private:
  static int at_most(double tokens, int most) {
    return std::clamp(static_cast<int>(tokens), 1, most);
  }

  std::mt19937_64 random_{1};
  std::exponential_distribution<double> gap_;
  std::lognormal_distribution<double> prompt_{std::log(120.0), 1.0};
  std::lognormal_distribution<double> answer_{std::log(30.0), 0.7};
};

// Counts in ranges of 2 %, since there are too many gaps to keep.
class Gaps {
 public:
  void add(double ms) {
    const auto range =
        std::clamp(std::log(std::max(ms, 1e-3) / 1e-3) / step, 0.0, counts_.size() - 1.0);
    ++counts_[static_cast<std::size_t>(range)];
    ++total_;
  }
  double percentile(double share) const {
    auto left = static_cast<std::int64_t>(share * static_cast<double>(total_));
    for (std::size_t i = 0; i < counts_.size(); ++i)
      if ((left -= counts_[i]) < 0) return 1e-3 * std::exp(step * (static_cast<double>(i) + 0.5));
    return 0;
  }

 private:
  static constexpr double step = 0.02;
  std::array<std::int64_t, 1200> counts_{};
  std::int64_t total_ = 0;
};

double percentile(std::vector<double>& sorted, double share) {
  return sorted[static_cast<std::size_t>(share * static_cast<double>(sorted.size() - 1))];
}

struct Result {
  double requests_per_s = 0, tokens_per_s = 0, cached = 0;
  std::array<double, 3> first_token_ms{}, gap_ms{};  ///< p50, p90, p99
  std::int64_t steps = 0, preemptions = 0;
  double wall_s = 0;
};

constexpr std::array<double, 3> shares = {0.5, 0.9, 0.99};

Result measure(double pause_s, int count) {
  const auto requests = Users(pause_s).ask(count);
  SchedulerOptions options;
  Simulation simulation(options, num_pages, page_size, machine);
  Gaps gaps;
  simulation.on_gap([&](double ms) { gaps.add(ms); });
  const auto start = std::chrono::steady_clock::now();
  const auto outcomes = simulation.run(requests);
  Result result;
  result.wall_s = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  std::vector<double> first;
  for (const auto& outcome : outcomes) {
    if (outcome.first_token_ms < 0 || outcome.end_ms < 0) std::abort();  // somebody was not served
    first.push_back(outcome.first_token_ms);
  }
  std::sort(first.begin(), first.end());
  const auto& counters = simulation.scheduler().counters();
  result.requests_per_s = num_users / pause_s;
  result.tokens_per_s = 1000 * static_cast<double>(counters.generated_tokens) / simulation.now_ms();
  result.cached =
      static_cast<double>(counters.cached_tokens) / static_cast<double>(counters.prompt_tokens);
  result.steps = simulation.num_steps();
  result.preemptions = counters.preemptions;
  for (std::size_t i = 0; i < shares.size(); ++i) {
    result.first_token_ms[i] = percentile(first, shares[i]);
    result.gap_ms[i] = gaps.percentile(shares[i]);
  }
  return result;
}

void print_json(double pause_s, const Result& r) {
  std::printf(
      "{\"pause_s\": %g, \"requests_per_s\": %g, \"tokens_per_s\": %g, \"cached\": %g, "
      "\"first_token_ms\": [%g, %g, %g], \"gap_ms\": [%g, %g, %g], \"steps\": %lld, "
      "\"preemptions\": %lld, \"wall_s\": %g}\n",
      pause_s, r.requests_per_s, r.tokens_per_s, r.cached, r.first_token_ms[0], r.first_token_ms[1],
      r.first_token_ms[2], r.gap_ms[0], r.gap_ms[1], r.gap_ms[2], static_cast<long long>(r.steps),
      static_cast<long long>(r.preemptions), r.wall_s);
}

void print_row(double pause_s, const Result& r) {
  std::printf(
      "| %g s | %.1f | %.0f | %.0f %% | %.0f / %.0f / %.0f ms | %.1f / %.1f / %.1f ms | %lld |\n",
      pause_s, r.requests_per_s, r.tokens_per_s, 100 * r.cached, r.first_token_ms[0],
      r.first_token_ms[1], r.first_token_ms[2], r.gap_ms[0], r.gap_ms[1], r.gap_ms[2],
      static_cast<long long>(r.preemptions));
}

}  // namespace

int main(int argc, char** argv) {
  int count = 1'000'000;
  bool json = false;
  for (int i = 1; i < argc; ++i) {
    if (std::strcmp(argv[i], "--json") == 0)
      json = true;
    else if (std::strcmp(argv[i], "--requests") == 0 && i + 1 < argc)
      count = std::atoi(argv[++i]);
    else
      return std::fprintf(stderr, "usage: simulate [--requests N] [--json]\n"), 2;
  }
  if (!json)
    std::printf(
        "| each user asks every | requests/s | tok/s | cached | first token p50 / p90 / p99 | "
        "between tokens | preemptions |\n"
        "|---|---|---|---|---|---|---|\n");
  double wall_s = 0;
  std::int64_t steps = 0;
  const int each = std::max(1, count / static_cast<int>(pauses_s.size()));
  for (const double pause_s : pauses_s) {
    const auto result = measure(pause_s, each);
    wall_s += result.wall_s;
    steps += result.steps;
    if (json)
      print_json(pause_s, result);
    else
      print_row(pause_s, result);
    std::fflush(stdout);
  }
  const double cpu_s = static_cast<double>(std::clock()) / CLOCKS_PER_SEC;
  std::fprintf(stderr, "%d requests in %.1f s (%.1f of processor time, %.1f us a step)\n",
               each * static_cast<int>(pauses_s.size()), wall_s, cpu_s,
               1e6 * cpu_s / static_cast<double>(steps));
}
