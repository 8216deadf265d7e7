// The engine's thread: admit, step, emit tokens, repeat.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <exception>
#include <functional>
#include <future>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "engine/run/runner.h"
#include "engine/schedule/scheduler.h"
#include "pippin/engine.h"

namespace pippin::engine {

/// Owns the only thread that calls MLX. The model is loaded, run and destroyed there. submit(), clear_caches() and stats() may be
/// called from any thread; they exchange plain data with the engine's thread.
class Loop {
 public:
  struct Options {
    int num_pages = 0;
    int page_size = 16;
    int num_slots = 0;         ///< of recurrent states; 0 for a model without recurrent layers
    int snapshot_tokens = 16;  ///< see StateCache
    int num_window_pages = 0;  ///< 0: layers with a window have the pages of all others
    WindowNeeds window = {};   ///< of no matter without such pages
    bool prefix_cache = true;
    bool overlap = false;  ///< see EngineOptions; on any device
    SchedulerOptions scheduler;
    int max_queue = 1024;
    MemorySplit memory;  ///< reported
    double stuck_after_s = 60;
    std::shared_ptr<DiskStore> disk;    ///< the runner's
    std::function<void()> before_step;  ///< see EngineOptions
    /// Called before a step is read, and before the pools are allocated again.
    std::function<void()> before_read, before_reset;
    std::function<void(const StepRecord&)> on_step;
  };
  /// Loads the model and returns how to run it. Called once, on the engine's thread.
  using Setup = std::function<std::pair<std::unique_ptr<Runner>, Options>()>;

  /// Starts the thread and waits for setup. Rethrows the setup's exception.
  explicit Loop(Setup setup);
  /// Fails running sequences with Error(unavailable), then joins the thread.
  ~Loop();
  Loop(const Loop&) = delete;
  Loop& operator=(const Loop&) = delete;

  /// Throws Error(resource_exhausted) when the queue is full, Error(unavailable) when the engine has given up.
  void submit(std::shared_ptr<Sequence> sequence);

  /// See Engine::clear_caches. Runs between two steps; the future holds the result or the Error.
  std::future<ClearedCaches> clear_caches();

  EngineStats stats() const;

 private:
  /// State shared between threads. The streams' cancel callbacks own it too, and may outlive the loop.
  struct Shared {
    mutable std::mutex mutex;
    std::condition_variable changed;
    std::vector<std::shared_ptr<Sequence>> submitted;  // guarded by mutex
    std::vector<std::promise<ClearedCaches>>
        to_clear;           // guarded by mutex: callers of clear_caches()
    bool stopping = false;  // guarded by mutex
    bool broken = false;    // guarded by mutex: the engine's thread has given up
    std::string trouble;    // guarded by mutex: why no step can run now
    bool woken = false;     // guarded by mutex: something was submitted or cancelled
    EngineStats stats;      // guarded by mutex

    void wake();
  };

  /// A step from its launch until it is committed or has failed.
  struct InFlightStep {
    Batch batch;
    StepRecord record;
    LaunchedStep step;
    std::exception_ptr failure;  ///< thrown by the launch
  };

  void main(const Setup& setup, const std::function<void(std::exception_ptr)>& ready);
  /// What the scheduler decides with: of the engine's thread.
  struct Caches {
    PageCache pages;
    StateCache states;
    std::optional<WindowPages> windows;  ///< absent where no layer's pages are apart
  };

  void serve(Runner& runner, const std::function<void(std::exception_ptr)>& ready);
  bool take_submitted(Scheduler& scheduler, bool may_wait);
  bool write_behind(Runner& runner, const Caches& caches, std::chrono::steady_clock::duration step,
                    bool rests);
  void write_the_rest(Runner& runner, const Caches& caches);
  void clear_where_asked(Runner& runner, const Scheduler& scheduler, Caches& caches);
  void refuse_to_clear();
  bool round(Runner& runner, Scheduler& scheduler, Caches& caches,
             std::optional<InFlightStep>& in_flight);
  void recover(Runner& runner, Scheduler& scheduler, std::optional<InFlightStep>& in_flight);
  void start_over(Runner& runner, Scheduler& scheduler);
  void end(Runner& runner, Scheduler& scheduler, const Caches& caches, bool sound);
  bool step(Runner& runner, Scheduler& scheduler, std::optional<InFlightStep>& in_flight);
  InFlightStep launch(Runner& runner, const Scheduler& scheduler, Batch batch, StepRecord record);
  bool finish_step(Runner& runner, Scheduler& scheduler, InFlightStep& in_flight,
                   const std::optional<InFlightStep>& next);
  static void fail_step(Scheduler& scheduler, const Batch& batch, const char* why);
  void observe(const StepRecord& step);
  bool in_trouble() const;
  std::string reset(Runner& runner);
  bool restore(Runner& runner);
  void publish_stats(Runner& runner, const Scheduler& scheduler, const Caches& caches);

  Options options_;  ///< set before the constructor returns, then constant
  std::shared_ptr<Shared> shared_ = std::make_shared<Shared>();
  std::atomic<std::int64_t> step_started_ns_ = 0;  ///< steady clock; 0 while no step runs
  // Used by the engine's thread only.
  std::chrono::steady_clock::duration write_time_{};  ///< see write_behind
  StepRecord::Time computed_{};                       ///< end of the last step
  std::thread thread_;
};

}  // namespace pippin::engine
