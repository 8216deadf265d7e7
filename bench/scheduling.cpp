// What scheduling costs: Scheduler::next() and commit() of a step with 64 sequences, in microseconds of this machine, while they
// decode and while prompts are read beside them. Nothing is computed in between.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <random>
#include <utility>
#include <vector>

#include "engine/schedule/simulation.h"

namespace {

using namespace pippin::engine;
using Clock = std::chrono::steady_clock;

constexpr int num_sequences = 64, page_size = 16, num_pages = 1 << 16;

std::shared_ptr<Sequence> sequence(std::mt19937& random, int prompt, int answer) {
  auto made = std::make_shared<Sequence>();
  for (int i = 0; i < prompt; ++i)
    made->tokens.push_back(static_cast<std::int32_t>(random() % 150'000));
  made->num_prompt = prompt;
  made->max_tokens = answer;
  return made;
}

std::vector<std::int32_t> some_tokens(const Batch& batch) {
  return std::vector<std::int32_t>(
      static_cast<std::size_t>(std::count_if(batch.chunks.begin(), batch.chunks.end(),
                                             [](const Chunk& chunk) { return chunk.sample; })),
      7);
}

// As a client would, so that streams do not grow.
void read(const std::vector<std::shared_ptr<Sequence>>& sequences) {
  for (const auto& one : sequences)
    while (one->output->poll()) {
    }
}

std::int64_t rows = 0;  // that have decoded

double step_us(Scheduler& scheduler) {
  const auto start = Clock::now();
  const auto batch = scheduler.next();
  const auto planned = Clock::now();
  const auto tokens = some_tokens(batch);
  const auto computed = Clock::now();
  scheduler.commit(batch, tokens);
  const auto taken = (planned - start) + (Clock::now() - computed);
  scheduler.observe(batch, SimulatedMachine().ms(batch));
  rows += batch.num_decode;
  return std::chrono::duration<double, std::micro>(taken).count();
}

void report(const char* what, std::vector<double> us) {
  std::sort(us.begin(), us.end());
  const auto at = [&](double share) {
    return us[static_cast<std::size_t>(share * static_cast<double>(us.size() - 1))];
  };
  std::printf("%-58s median %6.1f us, p99 %6.1f us (%.1f rows decode)\n", what, at(0.5), at(0.99),
              static_cast<double>(std::exchange(rows, 0)) / static_cast<double>(us.size()));
}

}  // namespace

int main() {
  std::mt19937 random(1);
  SchedulerOptions options;
  options.max_batch_tokens = 512;
  options.max_sequences = num_sequences;

  for (const int waiting : {0, 1000}) {
    PageCache pages(num_pages, page_size);
    Scheduler scheduler(options, pages);
    std::vector<std::shared_ptr<Sequence>> sequences;
    for (int i = 0; i < num_sequences + waiting; ++i) {
      sequences.push_back(sequence(random, 512, 4000));
      scheduler.add(sequences.back());
    }
    for (int i = 0; i < 100; ++i) step_us(scheduler);  // the prompts are read
    std::vector<double> us;
    rows = 0;
    for (int i = 0; i < 3000; ++i) {
      us.push_back(step_us(scheduler));
      read(sequences);
    }
    report(waiting ? "64 decode, 1,000 more wait" : "64 decode", std::move(us));
  }

  PageCache pages(num_pages, page_size);
  Scheduler scheduler(options, pages);
  std::vector<std::shared_ptr<Sequence>> sequences;
  std::vector<double> us;
  for (int i = 0; i < 3000; ++i) {
    while (scheduler.num_running() + scheduler.num_waiting() < num_sequences + 8) {
      sequences.push_back(sequence(random, 512, 64));
      scheduler.add(sequences.back());
    }
    us.push_back(step_us(scheduler));
    read(sequences);
    std::erase_if(sequences, [](const auto& one) { return one.use_count() == 1; });
  }
  report("64 at once, answers of 64 tokens end and prompts are read", std::move(us));
}
