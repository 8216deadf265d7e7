// What an engine does on the thread that calls MLX: admit, step, emit tokens, repeat.
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
#include <utility>
#include <vector>

#include "engine/run/engine_thread.h"
#include "engine/run/kernel_proof.h"
#include "engine/run/runner.h"
#include "engine/schedule/scheduler.h"
#include "pippin/engine.h"

namespace pippin::engine {

/// The model is loaded, run and destroyed on the engine's thread, whose tenant this is. submit(), clear_caches() and stats() may be
/// called from any thread; they exchange plain data with the engine's thread.
class Loop final : private EngineThread::Tenant {
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
    ChosenKernels* kernels = nullptr;  ///< in use while it works; null: the process's
  };
  /// Loads the model and returns how to run it. Called once, on the engine's thread.
  using Setup = std::function<std::pair<std::unique_ptr<Runner>, Options>()>;

  /// Waits for setup, and rethrows its exception.
  explicit Loop(const Setup& setup,
                std::shared_ptr<EngineThread> thread = EngineThread::of_process());
  /// Fails running sequences with Error(unavailable), and waits until the model has gone.
  ~Loop() override;
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
    std::condition_variable changed;                   ///< of `ended`
    std::shared_ptr<Waker> thread;                     ///< the engine's
    std::vector<std::shared_ptr<Sequence>> submitted;  // guarded by mutex
    std::vector<std::promise<ClearedCaches>>
        to_clear;           // guarded by mutex: callers of clear_caches()
    bool stopping = false;  // guarded by mutex
    bool broken = false;    // guarded by mutex: the engine has given up
    bool ended = false;     // guarded by mutex: the model has gone
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

  /// What the scheduler decides with: of the engine's thread.
  struct Caches {
    PageCache pages;
    StateCache states;
    std::optional<WindowPages> windows;  ///< absent where no layer's pages are apart
  };

  /// All that the model is run with.
  struct Work {
    Work(std::unique_ptr<Runner> with, const Options& options);
    std::unique_ptr<Runner> runner;
    Caches caches;
    Scheduler scheduler;
    std::optional<InFlightStep> in_flight = {};
    bool busy = false;  ///< there is more to do at once
    std::optional<std::chrono::steady_clock::time_point> writes_until =
        {};  ///< present at the end, while the last pages go to the disk
  };

  using Time = std::chrono::steady_clock::time_point;

  void set_up(const Setup& setup);
  bool turn() override;
  std::optional<Time> rests_until() const override { return rests_until_; }
  bool wants_turn() const;
  void work();
  void give_up(const std::exception& failure);
  void begin_end(bool sound);
  bool ends();
  void finish();
  std::optional<Time> end_of_rest() const;
  bool take_submitted(Scheduler& scheduler);
  bool write_behind(Runner& runner, const Caches& caches, std::chrono::steady_clock::duration step,
                    bool rests);
  void clear_where_asked(Runner& runner, const Scheduler& scheduler, Caches& caches);
  void refuse_to_clear();
  bool round(Runner& runner, Scheduler& scheduler, Caches& caches,
             std::optional<InFlightStep>& in_flight);
  void recover(Runner& runner, Scheduler& scheduler, std::optional<InFlightStep>& in_flight);
  void start_over(Runner& runner, Scheduler& scheduler);
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
  std::unique_ptr<Work> work_;                        ///< null before setup and after the end
  std::optional<Time> rests_until_;                   ///< while there is nothing to do
  std::chrono::steady_clock::duration write_time_{};  ///< see write_behind
  StepRecord::Time computed_{};                       ///< end of the last step
  const std::shared_ptr<EngineThread> thread_;
};

}  // namespace pippin::engine
