// The real Scheduler and PageCache under a load, with a machine that only takes time, on a virtual clock: a million requests
// in less than a minute. For tests and bench/simulate.cpp.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <random>
#include <utility>
#include <vector>

#include "engine/cache/page_cache.h"
#include "engine/schedule/scheduler.h"
#include "engine/schedule/sequence.h"

namespace pippin::engine {

/// What a step takes on the machine that is simulated.
struct SimulatedMachine {
  double step_ms = 5;              ///< any step: the weights are read once
  double decode_row_ms = 0.2;      ///< each decode row
  double prefill_token_ms = 0.05;  ///< each prompt token

  double ms(const Batch& batch) const {
    double ms = step_ms;
    for (const auto& chunk : batch.chunks)
      ms += chunk.sequence->num_generated() > 0 ? decode_row_ms : prefill_token_ms * chunk.count;
    return ms;
  }
};

struct SimulatedRequest {
  double arrival_ms = 0;
  int prompt_tokens = 0;
  int answer_tokens = 1;
  int group = 0;          ///< requests of a group begin with the same tokens
  int shared_tokens = 0;  ///< that many
  int priority = 0;
  double patience_ms = 0;  ///< cancels when it has no answer's end by then; 0: never
};

struct SimulatedOutcome {
  double first_token_ms = -1;  ///< after its arrival; -1: none came
  double end_ms = -1;          ///< after its arrival
  double longest_gap_ms = 0;   ///< between two tokens
  bool cancelled = false;
};

class Simulation {
 public:
  Simulation(const SchedulerOptions& options, int num_pages, int page_size,
             const SimulatedMachine& machine)
      : options_(with_clock(options)),
        pages_(num_pages, page_size),
        scheduler_(options_, pages_),
        machine_(machine) {}

  /// Runs all requests, which are in order of arrival, to their end. after_step: called with each step's batch, once committed.
  std::vector<SimulatedOutcome> run(const std::vector<SimulatedRequest>& requests,
                                    const std::function<void(const Batch&)>& after_step = {}) {
    requests_ = &requests;
    outcomes_.assign(requests.size(), {});
    last_token_ms_.assign(requests.size(), 0);
    std::size_t next = 0;
    for (;;) {
      for (; next < requests.size() && requests[next].arrival_ms <= now_ms_; ++next) arrive(next);
      cancel_impatient();
      const Batch batch = scheduler_.next();
      if (batch.empty()) {
        if (next == requests.size()) break;
        now_ms_ = std::max(now_ms_, requests[next].arrival_ms);
        continue;
      }
      step(batch);
      if (after_step) after_step(batch);
    }
    return std::move(outcomes_);
  }

  /// Called with the time between two tokens of an answer, for each.
  void on_gap(std::function<void(double gap_ms)> gap) { gap_ = std::move(gap); }

  double now_ms() const { return now_ms_; }
  std::int64_t num_steps() const { return num_steps_; }
  const PageCache& pages() const { return pages_; }
  const Scheduler& scheduler() const { return scheduler_; }

 private:
  SchedulerOptions with_clock(SchedulerOptions options) {
    options.now_ms = [this] { return now_ms_; };
    return options;
  }

  void arrive(std::size_t index) {
    const auto& request = (*requests_)[index];
    auto sequence = std::make_shared<Sequence>();
    sequence->tokens.reserve(
        static_cast<std::size_t>(request.prompt_tokens + request.answer_tokens));
    for (int i = 0; i < request.prompt_tokens; ++i)
      sequence->tokens.push_back(i < request.shared_tokens
                                     ? request.group * 7919 + i
                                     : static_cast<std::int32_t>(index) * 31 + i);
    sequence->num_prompt = sequence->num_tokens();
    sequence->max_tokens = request.answer_tokens;
    sequence->priority = request.priority;
    sequence->seed = index;
    if (request.patience_ms > 0)
      impatient_.push_back({request.arrival_ms + request.patience_ms, sequence});
    scheduler_.add(std::move(sequence));
  }

  void cancel_impatient() {
    for (const auto& [until_ms, sequence] : impatient_) {
      auto& outcome = outcomes_[sequence->seed];
      if (until_ms > now_ms_ || outcome.end_ms >= 0) continue;
      outcome.cancelled = true;
      outcome.end_ms = now_ms_ - (*requests_)[sequence->seed].arrival_ms;
      sequence->output->cancel();
    }
    std::erase_if(impatient_,
                  [&](const auto& entry) { return outcomes_[entry.second->seed].end_ms >= 0; });
  }

  void step(const Batch& batch) {
    const double taken_ms = machine_.ms(batch);
    now_ms_ += taken_ms;
    ++num_steps_;
    std::vector<std::int32_t> tokens;
    for (const auto& chunk : batch.chunks)
      if (chunk.sample) {
        tokens.push_back(static_cast<std::int32_t>(chunk.sequence->seed % 1000));
        note_token(*chunk.sequence);
      }
    scheduler_.commit(batch, tokens);
    scheduler_.observe(batch, taken_ms);
  }

  void note_token(const Sequence& sequence) {
    const auto index = sequence.seed;
    auto& outcome = outcomes_[index];
    const double since_arrival = now_ms_ - (*requests_)[index].arrival_ms;
    if (outcome.first_token_ms < 0)
      outcome.first_token_ms = since_arrival;
    else
      note_gap(outcome, now_ms_ - last_token_ms_[index]);
    last_token_ms_[index] = now_ms_;
    if (sequence.num_generated() + 1 >= sequence.max_tokens) outcome.end_ms = since_arrival;
  }

  void note_gap(SimulatedOutcome& outcome, double gap_ms) const {
    outcome.longest_gap_ms = std::max(outcome.longest_gap_ms, gap_ms);
    if (gap_) gap_(gap_ms);
  }

  double now_ms_ = 0;
  std::int64_t num_steps_ = 0;
  SchedulerOptions options_;
  PageCache pages_;
  Scheduler scheduler_;
  SimulatedMachine machine_;
  std::function<void(double)> gap_;
  const std::vector<SimulatedRequest>* requests_ = nullptr;
  std::vector<SimulatedOutcome> outcomes_;
  std::vector<double> last_token_ms_;
  std::vector<std::pair<double, std::shared_ptr<Sequence>>> impatient_;
};

}  // namespace pippin::engine
