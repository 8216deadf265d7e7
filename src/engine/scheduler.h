// Decides what the next step computes; engine/placement, which pages hold it. Sees page numbers and token counts, never a tensor.
//
// A step has a token budget: decode rows first, then prompts. Beside decode rows prompts get as many tokens as are expected to
// fit the time that streams may wait (StepBudget). Half of them go to the prompt that is first in order, so that it gets
// on whatever comes; the other half to those that need least, so that a short prompt does not wait for a long one.
// A sequence is admitted when pages for its whole prompt are there, and one for each that runs; not while another one computes
// the same prefix, which it will then find in the cache. When decoding runs out of pages, the last in order gives its pages
// back and is computed again later (its published pages usually still found in the cache). A sequence whose reader is too far
// behind keeps its pages and is passed over; it is the first to make way for others.
// A prompt's rows are computed up to the first picture whose encoder output is not there yet; the step asks for that.
//
// A step may be planned ahead, while the one before it is under way: prompts go on and streams compute the token that it
// samples, whatever that is. An answer that turns out to have ended, or whose pages are gone by then, has computed in vain.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <vector>

#include "engine/batch.h"
#include "engine/cold_pages.h"
#include "engine/page_cache.h"
#include "engine/placement.h"
#include "engine/sequence.h"
#include "engine/step_budget.h"

namespace pippin::engine {

/// Milliseconds of a steady clock.
inline double steady_ms() {
  return std::chrono::duration<double, std::milli>(
             std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

struct SchedulerOptions {
  int max_batch_tokens = 512;  ///< rows a step
  int max_sequences = 64;      ///< running at once
  double max_itl_ms = 100;     ///< time between two tokens of a stream that is aimed at
  std::function<double()> now_ms = steady_ms;
  PlacementOptions placement = {};
};

/// Where pictures' encoder outputs come from. On the engine's thread.
class MediaSource {
 public:
  virtual ~MediaSource() = default;
  /// Sets item.features where they are at hand. true while they come from elsewhere and are not to be encoded.
  virtual bool look_up(MediaItem& item) = 0;
};

struct SchedulerCounters {
  std::int64_t prompt_tokens = 0;
  std::int64_t cached_tokens = 0;
  std::int64_t generated_tokens = 0;
  std::int64_t preemptions = 0;
  std::int64_t rows_in_vain = 0;  ///< of steps that were planned ahead
  PrefixCounters prefixes;
};

/// Owned by the engine's thread. Steps are committed in the order in which they were planned, and at most one is planned ahead.
class Scheduler {
 public:
  /// media: null where no sequence has any; cold: null where nothing is kept outside of the pools; states: where the model has
  /// recurrent layers, with at least max_sequences slots. States are not kept outside, and pages are of no use without them.
  Scheduler(const SchedulerOptions& options, PageCache& pages, MediaSource* media = nullptr,
            ColdPages* cold = nullptr, StateCache* states = nullptr)
      : options_(options),
        budget_(options.max_batch_tokens, options.max_itl_ms),
        placement_(options.placement, pages, cold, states),
        media_(media) {}

  /// Queues a sequence whose prompt and answer fit the page pool when it is alone.
  void add(std::shared_ptr<Sequence> sequence);

  /// Drops cancelled sequences, those past their deadline and those whose pictures can't be encoded, then plans a step. Empty
  /// when there is nothing to do before something comes: a sequence, a reader, what is being read from disk, or a deadline.
  /// ahead: of a step that has not been committed, as may_run_ahead() allows.
  Batch next(bool ahead = false);

  /// Whether the step after this one can be planned before it is committed: where no row's next token depends on what the
  /// host makes of the last one, and no picture waits for the encoder, which measures its time on an idle device.
  bool may_run_ahead(const Batch& batch) const;

  /// The step is done: tokens[i] is the next token of the i-th chunk with `sample`, logprobs[i] (where there are any) what was asked
  /// about it. Publishes full pages, hands tokens out, ends what has ended.
  void commit(const Batch& batch, const std::vector<std::int32_t>& tokens,
              const std::vector<TokenLogprobs>& logprobs = {});

  /// Learns from how long a step took.
  void observe(const Batch& batch, double ms);

  /// The step failed: ends its sequences with the error and frees their pages, whose content is lost.
  void fail(const Batch& batch, const Error& error);

  /// The step was planned ahead of one that failed, and will not be committed. Before preempt_all().
  void abandon(const Batch& batch) { placement_.step_failed(batch); }

  /// Takes every running sequence's pages away; they are computed again, in the order of arrival.
  void preempt_all();

  /// Ends every sequence with the error.
  void fail_all(const Error& error);

  bool idle() const { return running_.empty() && waiting_.empty(); }
  std::size_t num_running() const { return running_.size(); }
  std::size_t num_waiting() const { return waiting_.size(); }
  /// Of those that run and wait, the ones whose readers were too far behind when the last step was planned.
  std::size_t num_held() const { return num_held_; }
  /// Of any sequence; infinity where none has one.
  double earliest_deadline_ms() const;
  const SchedulerCounters& counters() const { return counters_; }
  /// The running sequences' pages, one entry a reference.
  std::vector<PageId> pages_in_use() const;

 private:
  void drop_dead();
  void plan_decode(Batch& batch);
  void plan_prefill(Batch& batch);
  std::vector<std::shared_ptr<Sequence>> prompts_to_compute(Batch& batch);
  void number_sampled_rows(const Batch& batch);
  void admit(Batch& batch);
  bool wants_more_prompts() const;
  bool make_room(Sequence& sequence, Batch& batch);
  void run(const std::shared_ptr<Sequence>& sequence);
  void wait(const std::shared_ptr<Sequence>& sequence);
  void count_admission(Sequence& sequence);
  void tell_prompt(const Sequence& sequence);
  void count_encoded(const Sequence& sequence);
  /// Computes as many of its tokens as there are, can be computed and fit the first `max_tokens` of the step.
  void add_chunk(Batch& batch, const std::shared_ptr<Sequence>& sequence, int max_tokens);
  void add_chunk_of(Batch& batch, const std::shared_ptr<Sequence>& sequence, std::int64_t count);
  std::int64_t computable_tokens(Batch& batch, Sequence& sequence);
  std::int64_t scorable_tokens(const Batch& batch, const Sequence& sequence) const;
  /// Takes the pages of the running sequence at that place; it is computed again later.
  void preempt(std::size_t index);
  /// Of the running sequences whose readers are too far behind, the place of the last.
  std::optional<std::size_t> last_held() const;
  /// Appends the token; returns the reason when the sequence ends with it.
  std::optional<FinishReason> append(Sequence& sequence, std::int32_t token,
                                     TokenLogprobs logprobs);
  /// The same with what its constraint forces behind it. Throws the constraint's Error.
  std::optional<FinishReason> extend(Sequence& sequence, std::int32_t token,
                                     TokenLogprobs logprobs);
  /// The step's token for the sequence.
  void take(const std::shared_ptr<Sequence>& sequence, std::int32_t token, TokenLogprobs logprobs);

  SchedulerOptions options_;
  StepBudget budget_;
  Placement placement_;
  MediaSource* media_;
  bool encoding_ = false;          ///< the last step ran the encoder
  bool ahead_ = false;             ///< the step that is planned is ahead of one that is under way
  bool pictures_missing_ = false;  ///< some prompt of the last step waited for the encoder
  std::uint64_t step_ = 0;         ///< number of the step that is planned
  std::uint64_t num_added_ = 0;
  std::size_t num_held_ = 0;
  std::map<Order, std::shared_ptr<Sequence>> waiting_;
  std::vector<std::shared_ptr<Sequence>> running_;  ///< in order
  SchedulerCounters counters_;
};

}  // namespace pippin::engine
