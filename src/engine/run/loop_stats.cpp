// Loop's part that tells others of its thread's work.
#include "engine/run/loop.h"

namespace pippin::engine {

void Loop::observe(const StepRecord& step) {
  StepRecord numbered = step;
  {
    std::lock_guard lock(shared_->mutex);
    numbered.number = shared_->stats.steps++;
    shared_->stats.step.observe(numbered);
  }
  if (options_.on_step) options_.on_step(numbered);
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
