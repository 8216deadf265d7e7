// Loop's part from its setup to its end: turns on the engine's thread.
#include <chrono>
#include <cmath>
#include <memory>
#include <optional>
#include <tuple>
#include <utility>

#include "base/insist.h"
#include "base/log.h"
#include "engine/run/loop.h"

namespace pippin::engine {
namespace {

using Clock = std::chrono::steady_clock;

constexpr auto max_writing_at_the_end = std::chrono::seconds(10);
constexpr auto time_between_restores = std::chrono::seconds(1);
constexpr auto time_between_writes = std::chrono::milliseconds(5);

// The time of steady_ms; nullopt for infinity.
std::optional<Clock::time_point> time_of(double ms) {
  if (!std::isfinite(ms)) return {};
  return Clock::time_point(
      std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double, std::milli>(ms)));
}

}  // namespace

Loop::Loop(const Setup& setup, std::shared_ptr<EngineThread> thread) : thread_(std::move(thread)) {
  shared_->thread = thread_->waker();
  thread_->call([&] { set_up(setup); });
}

Loop::~Loop() {
  {
    std::lock_guard lock(shared_->mutex);
    shared_->stopping = true;
  }
  shared_->wake();
  {
    std::unique_lock lock(shared_->mutex);
    shared_->changed.wait(lock, [this] { return shared_->ended; });
  }
  thread_->remove(*this);
}

void Loop::Shared::wake() {
  {
    std::lock_guard lock(mutex);
    woken = true;
  }
  thread->wake();
}

Loop::Work::Work(std::unique_ptr<Runner> with, const Options& options)
    : runner(std::move(with)),
      caches{{options.num_pages, options.page_size, options.prefix_cache},
             {options.num_slots, options.snapshot_tokens},
             options.num_window_pages > 0
                 ? std::optional<WindowPages>(std::in_place, options.num_window_pages,
                                              options.num_pages, options.window)
                 : std::nullopt},
      scheduler(options.scheduler, caches.pages, &runner->encoder(),
                options.prefix_cache ? runner->cold_pages() : nullptr,
                options.num_slots > 0 ? &caches.states : nullptr, runner->cold_states(),
                caches.windows ? &*caches.windows : nullptr) {
  if (caches.windows) runner->use_windows(*caches.windows);
}

// What it throws leaves nothing behind on this thread.
void Loop::set_up(const Setup& setup) {
  std::unique_ptr<Runner> runner;
  std::tie(runner, options_) = setup();
  auto& stats = shared_->stats;
  stats.pages_total = stats.pages_free = options_.num_pages;
  stats.memory = options_.memory;
  stats.page_bytes = runner->bytes_per_page();
  stats.window_pages = options_.num_window_pages;
  stats.window_page_bytes = runner->bytes_per_window_page();
  stats.state_slots = options_.num_slots;
  stats.state_bytes = runner->bytes_per_slot();
  stats.media_cache_limit_bytes = runner->encoder().cache().max_bytes();
  if (options_.disk) options_.disk->when_progressed([shared = shared_] { shared->wake(); });
  auto work = std::make_unique<Work>(std::move(runner), options_);
  thread_->add(*this);
  work_ = std::move(work);
}

bool Loop::wants_turn() const {
  if (!work_) return false;
  if (work_->busy || work_->in_flight || (rests_until_ && Clock::now() >= *rests_until_))
    return true;
  std::lock_guard lock(shared_->mutex);
  return shared_->woken || shared_->stopping;
}

bool Loop::turn() {
  if (!wants_turn()) return false;
  std::optional<ChosenKernels::InUse> kernels;
  if (options_.kernels) kernels.emplace(*options_.kernels);
  try {
    work();
  } catch (const std::exception& failure) {
    give_up(failure);
  }
  if (!work_) return false;
  rests_until_ = end_of_rest();
  return work_->busy || work_->in_flight;
}

// One round, or one part of the end.
void Loop::work() {
  if (work_->writes_until) {
    if (ends()) finish();
    return;
  }
  auto& [runner, caches, scheduler, in_flight, busy, writes_until] = *work_;
  if (!take_submitted(scheduler)) {
    if (in_flight) finish_step(*runner, scheduler, *in_flight, {});
    in_flight.reset();
    return begin_end(true);
  }
  try {
    busy = round(*runner, scheduler, caches, in_flight);
  } catch (const std::bad_alloc&) {
    recover(*runner, scheduler, in_flight);
    busy = true;
  }
}

// A bug: it would come again with the next request, and no request is to blame.
void Loop::give_up(const std::exception& failure) {
  insist([&] { spdlog::critical("[engine] gives up: {}", failure.what()); });
  {
    std::lock_guard lock(shared_->mutex);
    shared_->broken = true;
  }
  work_->in_flight.reset();
  begin_end(false);
}

std::optional<Loop::Time> Loop::end_of_rest() const {
  if (work_->writes_until) return Clock::now() + time_between_writes;
  if (in_trouble()) return Clock::now() + time_between_restores;
  return time_of(work_->scheduler.earliest_deadline_ms());
}

// Tells all who wait for something. What is sound goes to the disk, as far as that is asked for.
void Loop::begin_end(bool sound) {
  const Error ending =
      insist([] { return Error(Code::unavailable, "the engine is shutting down"); });
  std::vector<std::shared_ptr<Sequence>> submitted;
  {
    std::lock_guard lock(shared_->mutex);
    submitted.swap(shared_->submitted);
  }
  for (const auto& sequence : submitted) sequence->output->fail(ending);
  try {
    work_->scheduler.fail_all(ending);
  } catch (const std::exception& failure) {
    insist([&] { spdlog::warn("[engine] ends badly: {}", failure.what()); });
    sound = false;
  }
  refuse_to_clear();
  if (!sound || !options_.disk) return finish();
  work_->writes_until = Clock::now() + max_writing_at_the_end;
  work_->busy = true;
}

// So that the next start finds what this one computed; not for ever, since somebody waits for the end. A part of it, since other
// engines go on. True once it is done.
bool Loop::ends() {
  try {
    const auto now = Clock::now();
    if (now >= *work_->writes_until) return true;
    work_->busy = work_->runner->write_behind(work_->caches.pages, work_->caches.states,
                                              now + time_between_writes);
    return !work_->busy && options_.disk->stats().queued_bytes == 0;
  } catch (const std::exception& failure) {
    insist([&] { spdlog::warn("[engine] the last pages are lost: {}", failure.what()); });
    return true;
  }
}

// From here on nobody but the destructor has it.
void Loop::finish() {
  publish_stats(*work_->runner, work_->scheduler, work_->caches);
  work_.reset();
  {
    std::lock_guard lock(shared_->mutex);
    shared_->ended = true;
    shared_->changed.notify_all();  // within the lock: then the waiting one may destroy it
  }
}

}  // namespace pippin::engine
