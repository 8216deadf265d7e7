#include "engine/run/loop.h"

#include <algorithm>
#include <chrono>
#include <exception>
#include <future>
#include <new>
#include <optional>
#include <utility>

#include "base/insist.h"
#include "base/log.h"
#include "base/memory.h"
#include "engine/run/step.h"

namespace pippin::engine {
namespace {

using Clock = std::chrono::steady_clock;

std::int64_t now_ns() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(Clock::now().time_since_epoch())
      .count();
}

double ms_of(Clock::duration time) {
  return std::chrono::duration<double, std::milli>(time).count();
}

constexpr const char* stopped = "the engine has stopped; see its log";

Error no_memory() {
  return insist([] {
    return Error(Code::unavailable, "the engine has no memory left for this request; try again");
  });
}

ClearedCaches clear(Runner& runner, PageCache& pages, StateCache& states,
                    std::optional<WindowPages>& windows) {
  ClearedCaches cleared;
  cleared.resident_before = resident_bytes();
  cleared.pages = pages.num_cached();
  cleared.media = static_cast<std::int64_t>(runner.encoder().cache().size());
  pages.forget_cached();
  states.forget();
  if (windows) windows->forget_cached();
  runner.clear_caches(pages.free_pages(), windows ? windows->free_pages() : std::vector<PageId>());
  trim_heap();
  cleared.resident_after = resident_bytes();
  return cleared;
}

}  // namespace

void Loop::submit(std::shared_ptr<Sequence> sequence) {
  sequence->output->note_submitted();
  sequence->output->on_wake([weak = std::weak_ptr<Shared>(shared_)] {
    if (const auto shared = weak.lock()) shared->wake();
  });
  {
    std::lock_guard lock(shared_->mutex);
    if (shared_->broken) throw Error(Code::unavailable, stopped);
    const auto waiting =
        static_cast<std::int64_t>(shared_->submitted.size()) + shared_->stats.sequences_waiting;
    if (waiting >= options_.max_queue)
      throw Error(Code::resource_exhausted,
                  "the queue is full: " + std::to_string(waiting) + " requests are waiting");
    shared_->submitted.push_back(std::move(sequence));
  }
  shared_->wake();
}

std::future<ClearedCaches> Loop::clear_caches() {
  std::future<ClearedCaches> result;
  {
    std::lock_guard lock(shared_->mutex);
    if (shared_->broken || shared_->stopping) throw Error(Code::unavailable, stopped);
    result = shared_->to_clear.emplace_back().get_future();
  }
  shared_->wake();
  return result;
}

EngineStats Loop::stats() const {
  std::lock_guard lock(shared_->mutex);
  EngineStats stats = shared_->stats;
  stats.sequences_waiting += static_cast<std::int64_t>(shared_->submitted.size());
  const auto started = step_started_ns_.load();
  const bool stuck =
      started != 0 && static_cast<double>(now_ns() - started) > options_.stuck_after_s * 1e9;
  stats.trouble = shared_->broken ? stopped : stuck ? "a step takes too long" : shared_->trouble;
  stats.healthy = stats.trouble.empty();
  if (options_.disk) stats.disk = options_.disk->stats();
  return stats;
}

// True where there is more to do at once.
bool Loop::round(Runner& runner, Scheduler& scheduler, Caches& caches,
                 std::optional<InFlightStep>& in_flight) {
  clear_where_asked(runner, scheduler, caches);
  const auto start = Clock::now();
  const bool worked = step(runner, scheduler, in_flight);
  const bool rests = !worked || (scheduler.idle() && !in_flight);
  const bool writes = write_behind(runner, caches, Clock::now() - start, rests);
  publish_stats(runner, scheduler, caches);
  return writes || !rests;
}

// No memory was left to plan a step: as a step that has failed. What is half planned can't be taken back, so nothing of it is kept.
void Loop::recover(Runner& runner, Scheduler& scheduler, std::optional<InFlightStep>& in_flight) {
  insist([] { spdlog::error("[engine] no memory is left to plan a step"); });
  in_flight.reset();
  step_started_ns_ = 0;
  scheduler.fail_plan(no_memory());
  start_over(runner, scheduler);
}

void Loop::start_over(Runner& runner, Scheduler& scheduler) {
  insist([&] { scheduler.start_over(); });
  restore(runner);
}

// A page at a time where nobody waits. Else in a twentieth of the time that steps take, so that it is not felt: what one
// page took longer than that, the next ones wait for.
bool Loop::write_behind(Runner& runner, const Caches& caches, Clock::duration step, bool rests) {
  write_time_ = rests ? Clock::duration(0) : std::min(write_time_, Clock::duration(0)) + step / 20;
  if (write_time_ < Clock::duration(0)) return false;
  const auto start = Clock::now();
  const bool more = runner.write_behind(caches.pages, caches.states, start + write_time_);
  write_time_ -= Clock::now() - start;
  return more;
}

// False when the loop is to end.
bool Loop::take_submitted(Scheduler& scheduler) {
  std::unique_lock lock(shared_->mutex);
  shared_->woken = false;
  auto submitted = std::exchange(shared_->submitted, {});
  for (auto& sequence : submitted)
    if (attempt([&] { scheduler.add(sequence); })) sequence = nullptr;
  shared_->stats.sequences_waiting = static_cast<std::int64_t>(scheduler.num_waiting());
  const bool goes_on = !shared_->stopping;
  lock.unlock();  // whoever is told may come back here
  for (const auto& refused : submitted)
    if (refused) refused->output->fail(no_memory());
  return goes_on;
}

void Loop::clear_where_asked(Runner& runner, const Scheduler& scheduler, Caches& caches) {
  std::vector<std::promise<ClearedCaches>> asked;
  {
    std::lock_guard lock(shared_->mutex);
    asked.swap(shared_->to_clear);
  }
  for (auto& promise : asked) {
    try {
      const auto cleared = clear(runner, caches.pages, caches.states, caches.windows);
      publish_stats(runner, scheduler, caches);  // first: whoever is answered sees them
      promise.set_value(cleared);
    } catch (...) {
      promise.set_exception(std::current_exception());
    }
  }
}

void Loop::refuse_to_clear() {
  const auto error =
      insist([] { return std::make_exception_ptr(Error(Code::unavailable, stopped)); });
  std::lock_guard lock(shared_->mutex);
  for (auto& promise : std::exchange(shared_->to_clear, {})) promise.set_exception(error);
}

// One round: plans and launches a step, ahead of the one under way where that can be, and reads that one. False when there is
// nothing to do.
bool Loop::step(Runner& runner, Scheduler& scheduler, std::optional<InFlightStep>& in_flight) {
  if (in_trouble() && !restore(runner)) {
    scheduler.fail_all(Error(Code::unavailable, stats().trouble));
    return false;
  }
  const bool landing = in_flight.has_value();
  if (landing && !scheduler.may_run_ahead(in_flight->batch)) {
    finish_step(runner, scheduler, *in_flight, {});
    in_flight.reset();
  }
  StepRecord record;
  record.begun = Clock::now();
  record.ahead = in_flight.has_value();
  Batch batch = scheduler.next(record.ahead);
  const bool planned = !batch.empty();
  std::optional<InFlightStep> next;
  if (planned) next = launch(runner, scheduler, std::move(batch), record);
  if (in_flight && !finish_step(runner, scheduler, *in_flight, next)) next.reset();
  if (next && (next->failure || !options_.overlap)) {
    finish_step(runner, scheduler, *next, {});
    next.reset();
  }
  in_flight = std::move(next);
  return landing || planned;
}

// Never throws: a launch that fails is known once what was launched before it has been read.
Loop::InFlightStep Loop::launch(Runner& runner, const Scheduler& scheduler, Batch batch,
                                StepRecord record) {
  describe(batch, record);
  record.running = static_cast<int>(scheduler.num_running());
  record.waiting = static_cast<int>(scheduler.num_waiting());
  record.planned = record.encoded = record.laid_out = Clock::now();
  if (step_started_ns_ == 0) step_started_ns_ = now_ns();
  InFlightStep in_flight{std::move(batch), record, {}, nullptr};
  try {
    if (options_.before_step) options_.before_step();
    in_flight.step = runner.launch(in_flight.batch);
    in_flight.record.encoded = in_flight.step.encoded;
    in_flight.record.laid_out = in_flight.step.laid_out;
  } catch (...) {
    in_flight.failure = std::current_exception();
  }
  return in_flight;
}

// next: what was launched behind it. False when the step has failed, and next with it: the pools' content is lost, others start
// over, and nothing cached may be trusted.
bool Loop::finish_step(Runner& runner, Scheduler& scheduler, InFlightStep& in_flight,
                       const std::optional<InFlightStep>& next) {
  auto& [batch, record, step, failure] = in_flight;
  record.before = computed_;
  record.followed = next.has_value();
  try {
    if (failure) std::rethrow_exception(failure);
    if (options_.before_read) options_.before_read();
    const auto tokens = runner.read(batch, step);
    record.computed = Clock::now();
    const auto alone_from = record.ahead ? std::max(record.planned, computed_) : record.planned;
    scheduler.observe(batch, ms_of(record.computed - alone_from));
    scheduler.commit(batch, tokens.ids, tokens.logprobs);
  } catch (const std::exception& error) {
    record.failed = true;
    fail_step(scheduler, batch, error.what());
    start_over(runner, scheduler);
    record.computed = Clock::now();
  }
  computed_ = record.computed;
  record.ended = Clock::now();
  step_started_ns_ = next && !record.failed ? now_ns() : 0;
  observe(record);
  return !record.failed;
}

void Loop::fail_step(Scheduler& scheduler, const Batch& batch, const char* why) {
  insist([&] {
    spdlog::error("[engine] a step of {} sequences failed: {}", batch.chunks.size(), why);
  });
  scheduler.fail(batch, insist([&] {
                   return Error(Code::unavailable,
                                std::string("the engine could not compute this request: ") + why);
                 }));
}

bool Loop::in_trouble() const {
  std::lock_guard lock(shared_->mutex);
  return !shared_->trouble.empty();
}

// Why it has failed; empty where it hasn't.
std::string Loop::reset(Runner& runner) {
  try {
    if (options_.before_reset) options_.before_reset();
    runner.reset();
    return "";
  } catch (const std::exception& failure) {
    return std::string("there is no memory for the attention cache: ") + failure.what();
  }
}

// New pools; where there is no memory for them, in place of what is kept for later. False when there still is none: until there
// is, nothing can be computed.
bool Loop::restore(Runner& runner) {
  auto trouble = insist([&] { return reset(runner); });
  if (!trouble.empty()) {
    insist([&] { runner.clear_caches({}, {}); });
    trim_heap();
    trouble = insist([&] { return reset(runner); });
  }
  std::lock_guard lock(shared_->mutex);
  const bool whole = trouble.empty();
  if (whole && !shared_->trouble.empty())
    insist([] { spdlog::info("[engine] has its attention cache again"); });
  else if (!whole && shared_->trouble.empty())
    insist([&] { spdlog::critical("[engine] computes nothing for now: {}", trouble); });
  shared_->trouble = std::move(trouble);
  return whole;
}

}  // namespace pippin::engine
