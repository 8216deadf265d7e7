// Decides what the next step computes; engine/placement, which pages hold it. Sees page numbers and token counts, never a tensor.
//
// Budget: a step has a token budget. Decode rows come first. Prompts get as many tokens as are expected to fit the inter-token
// latency target (StepBudget). Half of the prompt tokens go to the head of the queue, so that it always advances; the other half
// goes to the prompts that need least, so that a short prompt does not wait for a long one.
// Admission: a sequence needs pages for its whole prompt and one for each running sequence. It is not admitted while another
// sequence computes the same prefix; it will find that prefix in the cache.
// Preemption: when decoding runs out of pages, the last sequence in order gives its pages back and is recomputed later. Its
// published pages are usually still cached. A sequence with a slow client keeps its pages and is skipped; it is preempted first.
// Media: a prompt is computed up to the first image whose encoder output is missing; the step asks the encoder for that image.
//
// Planning ahead: a step may be planned while the previous one runs. Prompts continue, and streams compute the token that the
// previous step samples. If the answer has ended or lost its pages by then, the row is wasted.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <vector>

#include "engine/cache/cold_pages.h"
#include "engine/cache/page_cache.h"
#include "engine/schedule/batch.h"
#include "engine/schedule/placement.h"
#include "engine/schedule/sequence.h"
#include "engine/schedule/step_budget.h"

namespace pippin::engine {

/// Milliseconds of a steady clock.
inline double steady_ms() {
  return std::chrono::duration<double, std::milli>(
             std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

struct SchedulerOptions {
  int max_batch_tokens = 512;  ///< rows a step
  int max_sequences = 64;      ///< limit on running sequences
  double max_itl_ms = 100;     ///< target inter-token latency
  std::function<double()> now_ms = steady_ms;
  PlacementOptions placement = {};
};

/// The source of encoder outputs. Used on the engine's thread.
class MediaSource {
 public:
  virtual ~MediaSource() = default;
  /// Sets item.features if they are cached. Returns true while they are being loaded, so that they must not be encoded.
  virtual bool look_up(MediaItem& item) = 0;
};

struct SchedulerCounters {
  std::int64_t prompt_tokens = 0;
  std::int64_t cached_tokens = 0;
  std::int64_t generated_tokens = 0;
  std::int64_t preemptions = 0;
  std::int64_t wasted_tokens = 0;  ///< rows of steps planned ahead whose answers had ended
  PrefixCounters prefixes;
};

/// Owned by the engine's thread. Steps are committed in the order in which they were planned, and at most one is planned ahead.
class Scheduler {
 public:
  /// media: null if no sequence has media. cold: null without a disk cache. states: null without recurrent layers; a sequence
  /// waits for a slot. cold_states, windows: see Placement.
  Scheduler(const SchedulerOptions& options, PageCache& pages, MediaSource* media = nullptr,
            ColdPages* cold = nullptr, StateCache* states = nullptr,
            ColdPages* cold_states = nullptr, WindowPages* windows = nullptr)
      : options_(options),
        budget_(options.max_batch_tokens, options.max_itl_ms),
        placement_(options.placement, pages, cold, states, cold_states, windows),
        media_(media) {}

  /// Queues a sequence. Its prompt and answer must fit the page pool if it runs alone.
  void add(std::shared_ptr<Sequence> sequence);

  /// Ends sequences that are cancelled, past their deadline or have an image that can't be encoded, then plans a step. The batch is
  /// empty if there is nothing to do until a sequence, a reader, a page from disk or a deadline comes.
  /// ahead: the previous step is not committed yet; may_run_ahead() must allow it.
  Batch next(bool ahead = false);

  /// Whether the next step can be planned before this one is committed. No row may need the host to read its token first, and no
  /// image may wait for the encoder, which measures its time on an idle device.
  bool may_run_ahead(const Batch& batch) const;

  /// Commits a step that is done. tokens[i] is the next token of the i-th chunk with `sample`; logprobs[i] are its log-probabilities, if
  /// any row asks for them. Publishes full pages, emits tokens and ends finished answers.
  void commit(const Batch& batch, const std::vector<std::int32_t>& tokens,
              const std::vector<TokenLogprobs>& logprobs = {});

  /// Learns the cost of tokens from the duration of a step.
  void observe(const Batch& batch, double ms);

  /// Handles a step that has failed, whose pages' content is lost: ends its sequences with the error. Call start_over() then.
  void fail(const Batch& batch, const Error& error) noexcept;

  /// Handles a next() that has thrown: ends the sequence that it was busy with, or else the last in order, so that others may get on.
  /// Call start_over() then.
  void fail_plan(const Error& error) noexcept;

  /// After a failure: no sequence has a place any more, and nothing is cached. All that have not ended are computed anew in the order of
  /// arrival; steps that are under way are of no use. Trusts no more than that each sequence runs, waits or has ended, which holds
  /// whatever a member has thrown. Throws std::bad_alloc; may be called again then.
  void start_over();

  /// Ends every sequence with the error.
  void fail_all(const Error& error);

  bool idle() const { return running_.empty() && waiting_.empty(); }
  std::size_t num_running() const { return running_.size(); }
  std::size_t num_waiting() const { return waiting_.size(); }
  /// Running and waiting sequences that the last plan skipped because of a slow client.
  std::size_t num_stalled() const { return num_stalled_; }
  /// The earliest deadline of any sequence; infinity without one.
  double earliest_deadline_ms() const;
  const SchedulerCounters& counters() const { return counters_; }
  /// The running sequences' pages, one entry a reference.
  std::vector<PageId> pages_in_use() const;
  /// Those whose window pages running sequences use, likewise.
  std::vector<PageId> window_owners_in_use() const;

 private:
  void drop_dead();
  bool is_dead(const std::shared_ptr<Sequence>& sequence, double now_ms);
  void plan_decode(Batch& batch);
  void plan_prefill(Batch& batch);
  std::vector<std::shared_ptr<Sequence>> prompts_to_compute(Batch& batch);
  void number_sampled_rows(const Batch& batch);
  void admit(Batch& batch);
  bool wants_more_prompts() const;
  void wait_for_pages();
  bool make_room(Sequence& sequence, Batch& batch);
  void run(const std::shared_ptr<Sequence>& sequence);
  void wait(const std::shared_ptr<Sequence>& sequence);
  void count_admission(Sequence& sequence);
  void tell_prompt(const Sequence& sequence);
  void count_encoded(const Sequence& sequence);
  /// Adds as many of the sequence's tokens as can be computed and fit into the first `max_tokens` rows of the step.
  void add_chunk(Batch& batch, const std::shared_ptr<Sequence>& sequence, int max_tokens);
  void add_chunk_of(Batch& batch, const std::shared_ptr<Sequence>& sequence, std::int64_t count);
  std::int64_t computable_tokens(Batch& batch, Sequence& sequence);
  std::int64_t scorable_tokens(const Batch& batch, const Sequence& sequence) const;
  /// Preempts the running sequence at that index.
  void preempt(std::size_t index);
  /// The index of the last running sequence with a slow client.
  std::optional<std::size_t> last_stalled() const;
  /// Appends the token. Returns the finish reason if the sequence ends with it.
  std::optional<FinishReason> append(Sequence& sequence, std::int32_t token,
                                     TokenLogprobs logprobs);
  /// As append, then appends the tokens that the constraint forces. Throws the constraint's Error.
  std::optional<FinishReason> extend(Sequence& sequence, std::int32_t token,
                                     TokenLogprobs logprobs);
  /// Takes the step's token for the sequence.
  void take(const std::shared_ptr<Sequence>& sequence, std::int32_t token, TokenLogprobs logprobs);

  SchedulerOptions options_;
  StepBudget budget_;
  Placement placement_;
  MediaSource* media_;
  bool encoding_ = false;          ///< the last step ran the encoder
  bool ahead_ = false;             ///< the planned step is ahead of a running one
  bool pictures_missing_ = false;  ///< some prompt of the last step waited for the encoder
  std::uint64_t step_ = 0;         ///< number of the planned step
  std::uint64_t num_added_ = 0;
  std::size_t num_stalled_ = 0;
  std::map<Order, std::shared_ptr<Sequence>> waiting_;
  std::vector<std::shared_ptr<Sequence>> running_;  ///< in order
  std::shared_ptr<Sequence> planned_;               ///< whom next() is busy with
  SchedulerCounters counters_;
};

}  // namespace pippin::engine
