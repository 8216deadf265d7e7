#include "engine/loop.h"

#include <chrono>
#include <exception>
#include <future>
#include <utility>

#include "base/log.h"

namespace pippin::engine {
namespace {

std::int64_t now_ns() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(
             std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

}  // namespace

Loop::Loop(Setup setup) {
  std::promise<void> started;
  auto result = started.get_future();
  thread_ = std::thread([this, setup = std::move(setup), &started] {
    main(setup, [&started](std::exception_ptr error) {
      if (error)
        started.set_exception(error);
      else
        started.set_value();
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
    std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_one();
  thread_.join();
}

void Loop::wake() {
  {
    std::lock_guard lock(mutex_);
    woken_ = true;
  }
  changed_.notify_one();
}

void Loop::submit(std::shared_ptr<Sequence> sequence) {
  sequence->output->on_cancel([this] { wake(); });
  {
    std::lock_guard lock(mutex_);
    const auto waiting = static_cast<std::int64_t>(submitted_.size()) + stats_.sequences_waiting;
    if (waiting >= options_.max_queue)
      throw Error(Code::resource_exhausted,
                  "the queue is full: " + std::to_string(waiting) + " requests are waiting");
    submitted_.push_back(std::move(sequence));
  }
  wake();
}

EngineStats Loop::stats() const {
  std::lock_guard lock(mutex_);
  EngineStats stats = stats_;
  stats.sequences_waiting += static_cast<std::int64_t>(submitted_.size());
  const auto started = step_started_ns_.load();
  stats.healthy =
      started == 0 || static_cast<double>(now_ns() - started) < options_.stuck_after_s * 1e9;
  return stats;
}

void Loop::main(const Setup& setup, std::function<void(std::exception_ptr)> ready) {
  std::unique_ptr<Runner> runner;
  try {
    std::tie(runner, options_) = setup();
    stats_.pages_total = stats_.pages_free = options_.num_pages;
  } catch (...) {
    ready(std::current_exception());
    return;
  }
  ready(nullptr);
  serve(*runner);
}

void Loop::serve(Runner& runner) {
  PageCache pages(options_.num_pages, options_.page_size, options_.prefix_cache);
  Scheduler scheduler(options_.scheduler, pages);
  while (take_submitted(scheduler)) {
    const Batch batch = scheduler.next();
    if (!batch.chunks.empty()) step(runner, scheduler, pages, batch);
    publish_stats(runner, scheduler, pages);
  }
  scheduler.fail_all(Error(Code::unavailable, "the engine is shutting down"));
}

// Waits while there is nothing to do. False when the loop is to end.
bool Loop::take_submitted(Scheduler& scheduler) {
  std::unique_lock lock(mutex_);
  if (scheduler.idle()) changed_.wait(lock, [this] { return stopping_ || woken_; });
  woken_ = false;
  for (auto& sequence : std::exchange(submitted_, {})) scheduler.add(std::move(sequence));
  return !stopping_;
}

void Loop::step(Runner& runner, Scheduler& scheduler, PageCache& pages, const Batch& batch) {
  step_started_ns_ = now_ns();
  try {
    scheduler.commit(batch, runner.run(batch));
  } catch (const std::exception& failure) {
    spdlog::error("[engine] a step of {} sequences failed: {}", batch.chunks.size(),
                  failure.what());
    scheduler.fail(
        batch, Error(Code::unavailable,
                     std::string("the engine could not compute this request: ") + failure.what()));
    // The pools' content is lost with the step: others start over, and nothing cached may be trusted.
    scheduler.preempt_all();
    pages.forget_cached();
    runner.reset();
  }
  step_started_ns_ = 0;
}

void Loop::publish_stats(const Runner& runner, const Scheduler& scheduler, const PageCache& pages) {
  std::lock_guard lock(mutex_);
  const auto& counters = scheduler.counters();
  stats_.sequences_running = static_cast<std::int64_t>(scheduler.num_running());
  stats_.sequences_waiting = static_cast<std::int64_t>(scheduler.num_waiting());
  stats_.pages_free = pages.num_free();
  stats_.pages_cached = pages.num_cached();
  stats_.encoder_runs = runner.encoder_runs();
  stats_.encoder_hits = runner.encoder_hits();
  stats_.prompt_tokens = counters.prompt_tokens;
  stats_.cached_tokens = counters.cached_tokens;
  stats_.generated_tokens = counters.generated_tokens;
  stats_.preemptions = counters.preemptions;
  ++stats_.steps;
}

}  // namespace pippin::engine
