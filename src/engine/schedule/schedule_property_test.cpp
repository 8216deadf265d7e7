// What must hold whatever happens in whatever order: ten thousand random schedules of arrivals, steps (half of the time planned ahead),
// slow readers, cancellations, deadlines, failures, memory that runs out, cleared caches and disks that fail, on pools that are too small.
#include <gtest/gtest.h>

#include <algorithm>
#include <optional>
#include <random>
#include <utility>

#include "base/failing_memory_testing.h"
#include "base/insist.h"
#include "base/sanitized.h"
#include "engine/schedule/simulation.h"
#include "engine/schedule/testing.h"

namespace pippin::engine {
namespace {

using namespace testing;

constexpr auto num_schedules = static_cast<unsigned>(rounds(10'000, 1'000));

class Schedule {
 public:
  // disk: what an earlier schedule has left there is found again; null: none.
  explicit Schedule(unsigned seed, Disk* disk = nullptr)
      : random_(seed),
        disk_(reuse_ ? disk : nullptr),
        machine_(num_pages_, options_, reuse_, num_states_, disk_, window_, num_window_pages()) {
    machine_.overlap = up_to(2) == 0;
    if (!disk_) return;
    disk->behind = up_to(2) == 0;
    disk->latency = up_to(3);
  }

  void run() {
    for (int event = 0; event < 30; ++event) happen();
    for (int steps = 0; !machine_.scheduler.idle(); ++steps) {
      ASSERT_LT(steps, 5000) << "somebody is never served";
      step();
      for (auto& one : all_) read(one, 100);
    }
    machine_.land();
    ASSERT_EQ(machine_.pages.num_available(), num_pages_);
    ASSERT_EQ(machine_.windows.num_free() + machine_.windows.num_cached(),
              machine_.windows.num_pages());
    for (auto& one : all_) {
      read(one, 100);
      // What it got is right; all of it, unless it was ended.
      auto expected = expected_answer(one.prompt, one.sequence->max_tokens);
      const auto end = one.sequence->end_tokens.front();
      expected.erase(std::find(expected.begin(), expected.end(), end), expected.end());
      ASSERT_LE(one.answer.size(), expected.size());
      if (one.ended) expected.resize(one.answer.size());
      ASSERT_EQ(one.answer, expected);
      const auto& asked = *one.sequence;
      if (one.ended || asked.sampling.prompt_logprobs < 0) continue;
      ASSERT_EQ(asked.num_scored(), asked.num_prompt - 1);
    }
  }

  const Machine& machine() const { return machine_; }

 private:
  struct One {
    std::shared_ptr<Sequence> sequence;
    std::vector<std::int32_t> prompt, answer;
    bool ended = false;  ///< cancelled, failed, or its time was up
  };

  int up_to(int count) { return static_cast<int>(random_() % static_cast<unsigned>(count)); }

  // Not many more than some sequences need.
  int num_window_pages() {
    if (window_ == 0) return 0;
    const WindowNeeds needs{window_, page_size, options_.max_batch_tokens};
    const int sequences = 1 + up_to(2) * up_to(max_sequences_);
    return std::min(num_pages_, sequences * needs.of_sequence() + needs.of_steps() + up_to(6));
  }

  SchedulerOptions options() {
    SchedulerOptions options{4 + up_to(30), max_sequences_};
    options.now_ms = [this] { return now_ms_; };
    return options;
  }

  void happen() {
    const int what = up_to(20);
    if (what < 7) return arrive();
    if (what < 15) return step();
    if (what < 17 && up_to(4) == 0) return up_to(2) == 0 ? clear_caches() : change_disk();
    if (all_.empty()) return;
    auto& one = all_[static_cast<std::size_t>(up_to(static_cast<int>(all_.size())))];
    if (what < 17) return read(one, 1 + up_to(8));
    if (what < 19) return leave(one);
    const int how = up_to(3);
    if (how == 0) return fail_step();
    how == 1 ? starve_plan() : starve_commit();
  }

  void arrive() {
    One one;
    one.prompt = count_up(1 + up_to(24), 1 + up_to(3));
    if (!all_.empty() && up_to(3) == 0) one.prompt = all_.back().sequence->tokens;  // goes on
    one.prompt.resize(std::min<std::size_t>(one.prompt.size(), 24));
    one.sequence = make_sequence(one.prompt, 1 + up_to(15));
    one.sequence->priority = up_to(8) == 0 ? -1 : 0;
    one.sequence->output->stall_at(static_cast<std::size_t>(up_to(3) == 0 ? 1 + up_to(5) : 0));
    if (up_to(8) == 0) one.sequence->deadline_ms = now_ms_ + up_to(30);
    if (up_to(3) == 0)
      one.sequence->end_tokens = {expected_answer(one.prompt, 1 + up_to(15)).back()};
    if (up_to(6) == 0) one.sequence->sampling.presence_penalty = 1;  // its tokens must be read
    if (up_to(10) == 0) one.sequence->sampling.prompt_logprobs = 0;
    if (up_to(10) == 0) add_picture(*one.sequence);
    machine_.scheduler.add(one.sequence);
    all_.push_back(std::move(one));
  }

  void add_picture(Sequence& sequence) {
    const int begin = up_to(static_cast<int>(sequence.num_tokens()));
    const int length = 1 + up_to(static_cast<int>(sequence.num_tokens()) - begin);
    MediaItem item{{begin, length, {}}, {}, {}};
    item.digest[0] = static_cast<std::uint8_t>(up_to(2));
    sequence.media.push_back(item);
  }

  // As the loop does between steps.
  void clear_caches() {
    machine_.pages.forget_cached();
    machine_.states.forget();
    machine_.windows.forget_cached();
  }

  // Another process takes entries away, or some can't be read any more, or have lost their windows.
  void change_disk() {
    if (!disk_ || disk_->pages.empty()) return;
    auto at = disk_->pages.begin();
    std::advance(at, up_to(static_cast<int>(disk_->pages.size())));
    const int what = up_to(3);
    if (what == 0) disk_->broken.insert(at->first);
    if (what == 1) at->second.resize(page_size);
    if (what == 2) disk_->pages.erase(at);
  }

  void step() {
    ++now_ms_;
    const auto batch = machine_.step();  // checks the pages, too
    if (disk_) machine_.cold->write_behind();
    if (disk_) machine_.cold_states->write_behind();
    ASSERT_LE(machine_.scheduler.num_running(), static_cast<std::size_t>(max_sequences_));
    for (const auto& chunk : batch.chunks) ASSERT_FALSE(chunk.sequence->output->cancelled());
    for (auto& one : all_) {
      const bool late = one.sequence->deadline_ms <= now_ms_;
      if (!late && !one.sequence->output->cancelled()) continue;
      one.ended = true;
      ASSERT_TRUE(one.sequence->pages.empty()) << "it holds pages a step later";
    }
  }

  static void read(One& one, int events) {
    try {
      for (int i = 0; i < events; ++i) {
        const auto event = one.sequence->output->poll();
        if (!event) return;
        if (!event->finish) one.answer.push_back(event->token);
      }
    } catch (const Error&) {
      one.ended = true;
    }
  }

  void leave(One& one) {
    one.sequence->output->cancel();
    step();
  }

  // As the loop recovers from one: the step under way fails, or the one that is launched behind it.
  void fail_step() {
    machine_.land_where_needed();
    const auto next = machine_.plan();
    const Error error(Code::unavailable, "out of memory");
    if (machine_.flight && up_to(2) == 0) {
      machine_.scheduler.fail(std::exchange(machine_.flight, std::nullopt)->first, error);
    } else {
      machine_.land();
      machine_.scheduler.fail(next, error);
    }
    start_over();
  }

  // As the loop recovers where memory runs out while a step is planned.
  void starve_plan() {
    machine_.land_where_needed();
    Batch next;
    const Error error(Code::unavailable, "out of memory");
    if (runs_out([&] { next = machine_.scheduler.next(machine_.flight.has_value()); })) {
      machine_.scheduler.fail_plan(error);
    } else {
      machine_.land();
      machine_.scheduler.fail(next, error);
    }
    machine_.flight.reset();
    start_over();
  }

  // And where it does while one is committed, or at its end.
  void starve_commit() {
    machine_.land_where_needed();
    const auto next = machine_.plan();
    const auto tokens = machine_.model.run(next);
    machine_.land();
    if (!runs_out([&] { machine_.scheduler.commit(next, tokens); })) return;
    machine_.scheduler.fail(next, {Code::unavailable, "out of memory"});
    start_over();
  }

  template <class Work>
  bool runs_out(const Work& work) {
    const FailingMemory memory(up_to(up_to(3) == 0 ? 100 : 20));
    return !attempt(work);
  }

  void start_over() {
    while (true) {
      const FailingMemory memory(up_to(3));
      if (attempt([&] { machine_.scheduler.start_over(); })) break;
    }
    ASSERT_EQ(machine_.windows.num_free(), machine_.windows.num_pages());
    ASSERT_EQ(machine_.pages.num_free(), num_pages_);
  }

  std::mt19937 random_;
  double now_ms_ = 0;
  const int num_pages_ = 12 + up_to(30), max_sequences_ = 1 + up_to(5);
  const bool reuse_ = up_to(4) != 0;
  const int num_states_ = up_to(3) == 0 ? 6 + up_to(6) : 0;
  const int window_ = num_states_ == 0 && up_to(2) == 0 ? 1 + up_to(12) : 0;
  const SchedulerOptions options_ = options();
  Disk* disk_;
  Machine machine_;
  std::vector<One> all_;
};

TEST(ScheduleProperties, HoldInTenThousandSchedules) {
  std::int64_t ahead = 0, in_vain = 0;
  std::optional<Disk> disk;
  for (unsigned seed = 0; seed < num_schedules; ++seed) {
    if (seed % 4 == 0) disk.reset();
    if (seed % 8 == 4) disk.emplace();
    Schedule schedule(seed, disk ? &*disk : nullptr);
    schedule.run();
    ASSERT_FALSE(::testing::Test::HasFailure()) << "schedule " << seed;
    ahead += schedule.machine().num_ahead;
    in_vain += schedule.machine().scheduler.counters().wasted_tokens;
  }
  EXPECT_GT(ahead, 5 * num_schedules);
  EXPECT_GT(in_vain, num_schedules / 10);
}

// More short requests than the machine can serve, without an end: a long one waits as those do that came with it, and twice
// what it takes alone.
TEST(ScheduleProperties, ALongRequestIsNotStarvedByShortOnes) {
  const SimulatedMachine machine{5, 0.2, 0.05};
  for (unsigned seed = 0; seed < static_cast<unsigned>(rounds(40, 5)); ++seed) {
    std::mt19937 random(seed);
    SchedulerOptions options;
    options.max_batch_tokens = 256;
    options.max_sequences = 4 + static_cast<int>(random() % 12);
    std::vector<SimulatedRequest> requests;
    std::exponential_distribution<double> gap(0.4);  // 400 a second
    const std::size_t number = 100 + random() % 300;
    const int length = 1000 + static_cast<int>(random() % 6000);
    for (double now = 0; requests.size() < 3000;) {
      now += gap(random);
      requests.push_back({now, 20 + static_cast<int>(random() % 80), 10});
      if (requests.size() == number) requests.push_back({now, length, 10});
    }
    const auto outcomes = Simulation(options, 2000, 16, machine).run(requests);
    const double alone = length * machine.prefill_token_ms +
                         machine.step_ms * (1 + length / options.max_batch_tokens);
    double others = 0;
    for (std::size_t i = number + 1;
         requests[i].arrival_ms < requests[number].arrival_ms + 2 * alone; ++i)
      others = std::max(others, outcomes[i].first_token_ms);
    EXPECT_LT(outcomes[number].first_token_ms, others + 4 * alone) << "seed " << seed;
    EXPECT_GT(outcomes.back().first_token_ms, 1000) << "there was no rush";
  }
}

}  // namespace
}  // namespace pippin::engine
