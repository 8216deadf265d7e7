#include "engine/run/loop.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <exception>
#include <future>
#include <optional>
#include <tuple>
#include <utility>

#include "base/log.h"
#include "base/memory.h"
#include "engine/run/step.h"

namespace pippin::engine {
namespace {

using Clock = std::chrono::steady_clock;

constexpr auto max_writing_at_the_end = std::chrono::seconds(10);
constexpr auto time_between_restores = std::chrono::seconds(1);

std::int64_t now_ns() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(Clock::now().time_since_epoch())
      .count();
}

// The time of steady_ms; nullopt for infinity.
std::optional<Clock::time_point> time_of(double ms) {
  if (!std::isfinite(ms)) return {};
  return Clock::time_point(
      std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double, std::milli>(ms)));
}

double ms_of(Clock::duration time) {
  return std::chrono::duration<double, std::milli>(time).count();
}

constexpr const char* stopped = "the engine has stopped; see its log";

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

Loop::Loop(Setup setup) {
  // Shared, since the thread may still be leaving set_value when this one has its answer.
  auto started = std::make_shared<std::promise<void>>();
  auto result = started->get_future();
  thread_ = std::thread([this, setup = std::move(setup), started] {
    main(setup, [started](std::exception_ptr error) {
      if (error)
        started->set_exception(error);
      else
        started->set_value();
    });
  });
  try {
    result.get();
  } catch (...) {
    thread_.join();
    throw;
  }
}

Loop::~Loop() {
  {
    std::lock_guard lock(shared_->mutex);
    shared_->stopping = true;
  }
  shared_->changed.notify_one();
  thread_.join();
}

void Loop::Shared::wake() {
  {
    std::lock_guard lock(mutex);
    woken = true;
  }
  changed.notify_one();
}

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

void Loop::main(const Setup& setup, const std::function<void(std::exception_ptr)>& ready) {
  std::unique_ptr<Runner> runner;
  try {
    std::tie(runner, options_) = setup();
    shared_->stats.pages_total = shared_->stats.pages_free = options_.num_pages;
    shared_->stats.memory = options_.memory;
    shared_->stats.page_bytes = runner->bytes_per_page();
    shared_->stats.window_pages = options_.num_window_pages;
    shared_->stats.window_page_bytes = runner->bytes_per_window_page();
    shared_->stats.state_slots = options_.num_slots;
    shared_->stats.state_bytes = runner->bytes_per_slot();
    shared_->stats.media_cache_limit_bytes = runner->encoder().cache().max_bytes();
  } catch (...) {
    ready(std::current_exception());
    return;
  }
  ready(nullptr);
  if (options_.disk) options_.disk->when_progressed([shared = shared_] { shared->wake(); });
  serve(*runner);
}

void Loop::serve(Runner& runner) {
  Caches caches{{options_.num_pages, options_.page_size, options_.prefix_cache},
                {options_.num_slots, options_.snapshot_tokens},
                {}};
  if (options_.num_window_pages > 0) {
    caches.windows.emplace(options_.num_window_pages, options_.num_pages, options_.window);
    runner.use_windows(*caches.windows);
  }
  Scheduler scheduler(options_.scheduler, caches.pages, &runner.encoder(),
                      options_.prefix_cache ? runner.cold_pages() : nullptr,
                      options_.num_slots > 0 ? &caches.states : nullptr, runner.cold_states(),
                      caches.windows ? &*caches.windows : nullptr);
  std::optional<InFlightStep> in_flight;
  bool busy = false, sound = false;
  try {
    while (take_submitted(scheduler, !busy && !in_flight)) {
      clear_where_asked(runner, scheduler, caches);
      const auto start = Clock::now();
      const bool worked = step(runner, scheduler, caches, in_flight);
      const bool rests = !worked || (scheduler.idle() && !in_flight);
      const bool writes = write_behind(runner, caches, Clock::now() - start, rests);
      busy = writes || !rests;
      publish_stats(runner, scheduler, caches);
    }
    if (in_flight) finish_step(runner, scheduler, caches, *in_flight, {});
    sound = true;
  } catch (const std::exception& failure) {
    spdlog::critical("[engine] gives up: {}", failure.what());
    std::lock_guard lock(shared_->mutex);
    shared_->broken = true;
    for (auto& sequence : std::exchange(shared_->submitted, {})) scheduler.add(std::move(sequence));
  }
  scheduler.fail_all(Error(Code::unavailable, "the engine is shutting down"));
  if (sound) write_the_rest(runner, caches);
  refuse_to_clear();
  publish_stats(runner, scheduler, caches);
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

// So that the next start finds what this one computed; not for ever, since somebody waits for this one to end.
void Loop::write_the_rest(Runner& runner, const Caches& caches) {
  const auto end = Clock::now() + max_writing_at_the_end;
  while (options_.disk && Clock::now() < end) {
    if (!runner.write_behind(caches.pages, caches.states, end) &&
        options_.disk->stats().queued_bytes == 0)
      return;
    options_.disk->flush();
  }
}

// Waits, where it may, until there is something to do. False when the loop is to end.
bool Loop::take_submitted(Scheduler& scheduler, bool may_wait) {
  auto deadline = may_wait ? time_of(scheduler.earliest_deadline_ms()) : std::nullopt;
  std::unique_lock lock(shared_->mutex);
  if (!shared_->trouble.empty()) deadline = Clock::now() + time_between_restores;
  const auto awake = [this] { return shared_->stopping || shared_->woken; };
  if (may_wait && deadline)
    shared_->changed.wait_until(lock, *deadline, awake);
  else if (may_wait)
    shared_->changed.wait(lock, awake);
  shared_->woken = false;
  for (auto& sequence : std::exchange(shared_->submitted, {})) scheduler.add(std::move(sequence));
  shared_->stats.sequences_waiting = static_cast<std::int64_t>(scheduler.num_waiting());
  return !shared_->stopping;
}

void Loop::clear_where_asked(Runner& runner, const Scheduler& scheduler, Caches& caches) {
  std::vector<std::promise<ClearedCaches>> asked;
  {
    std::lock_guard lock(shared_->mutex);
    asked.swap(shared_->to_clear);
  }
  for (auto& promise : asked) {
    const auto cleared = clear(runner, caches.pages, caches.states, caches.windows);
    publish_stats(runner, scheduler, caches);  // first: whoever is answered sees them
    promise.set_value(cleared);
  }
}

void Loop::refuse_to_clear() {
  std::lock_guard lock(shared_->mutex);
  for (auto& promise : std::exchange(shared_->to_clear, {}))
    promise.set_exception(std::make_exception_ptr(Error(Code::unavailable, stopped)));
}

// One round: plans and launches a step, ahead of the one under way where that can be, and reads that one. False when there is
// nothing to do.
bool Loop::step(Runner& runner, Scheduler& scheduler, Caches& caches,
                std::optional<InFlightStep>& in_flight) {
  if (in_trouble() && !restore(runner)) {
    scheduler.fail_all(Error(Code::unavailable, stats().trouble));
    return false;
  }
  const bool landing = in_flight.has_value();
  if (landing && !scheduler.may_run_ahead(in_flight->batch)) {
    finish_step(runner, scheduler, caches, *in_flight, {});
    in_flight.reset();
  }
  StepRecord record;
  record.begun = Clock::now();
  record.ahead = in_flight.has_value();
  Batch batch = scheduler.next(record.ahead);
  const bool planned = !batch.empty();
  std::optional<InFlightStep> next;
  if (planned) next = launch(runner, scheduler, std::move(batch), record);
  if (in_flight && !finish_step(runner, scheduler, caches, *in_flight, next)) next.reset();
  if (next && (next->failure || !options_.overlap)) {
    finish_step(runner, scheduler, caches, *next, {});
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
bool Loop::finish_step(Runner& runner, Scheduler& scheduler, Caches& caches,
                       InFlightStep& in_flight, const std::optional<InFlightStep>& next) {
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
    spdlog::error("[engine] a step of {} sequences failed: {}", batch.chunks.size(), error.what());
    record.failed = true;
    scheduler.fail(
        batch, Error(Code::unavailable,
                     std::string("the engine could not compute this request: ") + error.what()));
    if (next) scheduler.abandon(next->batch);
    scheduler.preempt_all();
    caches.pages.forget_cached();
    if (caches.windows) caches.windows->forget_cached();
    restore(runner);
    record.computed = Clock::now();
  }
  computed_ = record.computed;
  record.ended = Clock::now();
  step_started_ns_ = next && !record.failed ? now_ns() : 0;
  observe(record);
  return !record.failed;
}

void Loop::observe(const StepRecord& step) {
  StepRecord numbered = step;
  {
    std::lock_guard lock(shared_->mutex);
    numbered.number = shared_->stats.steps++;
    shared_->stats.step.observe(numbered);
  }
  if (options_.on_step) options_.on_step(numbered);
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
  auto trouble = reset(runner);
  if (!trouble.empty()) {
    runner.clear_caches({}, {});
    trim_heap();
    trouble = reset(runner);
  }
  std::lock_guard lock(shared_->mutex);
  if (trouble.empty() && !shared_->trouble.empty())
    spdlog::info("[engine] has its attention cache again");
  else if (!trouble.empty() && shared_->trouble.empty())
    spdlog::critical("[engine] computes nothing for now: {}", trouble);
  shared_->trouble = trouble;
  return trouble.empty();
}

void Loop::publish_stats(Runner& runner, const Scheduler& scheduler, const Caches& caches) {
  std::lock_guard lock(shared_->mutex);
  auto& stats = shared_->stats;
  const auto& counters = scheduler.counters();
  stats.sequences_running = static_cast<std::int64_t>(scheduler.num_running());
  stats.sequences_waiting = static_cast<std::int64_t>(scheduler.num_waiting());
  stats.sequences_held = static_cast<std::int64_t>(scheduler.num_stalled());
  stats.pages_free = caches.pages.num_free();
  stats.pages_cached = caches.pages.num_cached();
  stats.pages_evicted = caches.pages.num_evicted();
  if (caches.windows) stats.window_pages_free = caches.windows->num_free();
  if (caches.windows) stats.window_pages_cached = caches.windows->num_cached();
  stats.snapshots = static_cast<std::int64_t>(caches.states.num_snapshots());
  stats.snapshots_evicted = caches.states.num_evicted();
  const auto& encoder = runner.encoder();
  stats.encoder_runs = encoder.num_runs();
  stats.encoder_hits = encoder.num_hits();
  stats.media_cache_entries = static_cast<std::int64_t>(encoder.cache().size());
  stats.media_cache_bytes = encoder.cache().num_bytes();
  stats.media_cache_evictions = encoder.cache().evictions();
  stats.prompt_tokens = counters.prompt_tokens;
  stats.cached_tokens = counters.cached_tokens;
  stats.generated_tokens = counters.generated_tokens;
  stats.preemptions = counters.preemptions;
  stats.wasted_tokens = counters.wasted_tokens;
  stats.prefix_whole = counters.prefixes.whole;
  stats.prefix_extended = counters.prefixes.extended;
  stats.prefix_diverged = counters.prefixes.diverged;
  stats.prefix_evicted = counters.prefixes.evicted;
  stats.prefix_unknown = counters.prefixes.unknown;
}

}  // namespace pippin::engine
