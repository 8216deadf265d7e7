// Decides what the next step computes, and whose pages hold it. Sees page numbers and token counts, never a tensor.
//
// A step has a token budget: decode rows first, then prompts. Beside decode rows prompts get as many tokens as are expected to
// fit the time that streams may wait (StepBudget). Half of them go to the prompt that is first in order, so that it gets
// on whatever comes; the other half to those that need least, so that a short prompt does not wait for a long one.
// A sequence is admitted when pages for its whole prompt are there, and one for each that runs; not while another one computes
// the same prefix, which it will then find in the cache. When decoding runs out of pages, the last in order gives its pages
// back and is computed again later (its published pages usually still found in the cache).
// A prompt's rows are computed up to the first picture whose encoder output is not there yet; the step asks for that.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <unordered_set>
#include <vector>

#include "engine/cold_pages.h"
#include "engine/page_cache.h"
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
  /// Where in a context attention costs as much as all else: what a page costs to compute anew depends on that.
  int attention_tokens = 4096;
  int max_pages_ahead = 32;  ///< that a sequence asks for from disk before it has the first
  int max_loads_beside =
      8;  ///< pages from disk put into the pools in a step that has decode rows, so that these don't wait
};

/// One sequence's part of a step: computes its tokens [num_computed, num_computed + count).
struct Chunk {
  std::shared_ptr<Sequence> sequence;
  int count;
  bool sample;  ///< the last row is the sequence's last token: its logits give the next one
};

/// The beginning of page `from` is what page `to` begins with; copied before the step's rows are computed.
struct PageCopy {
  PageId from, to;
};

/// A sequence's state becomes that of a snapshot (none: that before the first token), before the step's rows are computed.
struct StateRestore {
  std::optional<StateSlot> from;
  StateSlot to;
};

/// A sequence's state becomes the snapshot after the prefix `key`, once the step's rows are computed.
struct StateSave {
  StateSlot from, to;
  PageKey key;
};

/// One step: decode rows (count 1) come first, then what streams were forced to say, then prompts.
struct Batch {
  std::vector<Chunk> chunks;
  int num_tokens = 0;
  int num_decode = 0;  ///< of the tokens, decode rows
  std::vector<PageCopy> copies;
  std::vector<StateRestore> restores;
  std::vector<StateSave> saves;
  /// Pictures that prompts wait for, in the order in which they are wanted; of running sequences.
  std::vector<MediaItem*> encode;

  bool empty() const { return chunks.empty() && copies.empty() && encode.empty(); }
};

/// Where pictures' encoder outputs come from. On the engine's thread.
class MediaSource {
 public:
  virtual ~MediaSource() = default;
  /// Sets item.features where they are at hand. true while they come from elsewhere and are not to be encoded.
  virtual bool look_up(MediaItem& item) = 0;
};

/// How far admitted prompts were found in the page cache, in requests, each counted once.
struct PrefixCounters {
  std::int64_t whole = 0;     ///< all but what is always computed: hits
  std::int64_t extended = 0;  ///< all that is known of this text, which goes on: hits
  std::int64_t diverged = 0;  ///< to where a known text goes on otherwise
  std::int64_t evicted = 0;   ///< to where its pages have been evicted
  std::int64_t unknown = 0;   ///< nothing
};

struct SchedulerCounters {
  std::int64_t prompt_tokens = 0;
  std::int64_t cached_tokens = 0;
  std::int64_t generated_tokens = 0;
  std::int64_t preemptions = 0;
  PrefixCounters prefixes;
};

/// Owned by the engine's thread. Between next() and commit() the batch's sequences stay as they are.
class Scheduler {
 public:
  /// media: null where no sequence has any; cold: null where nothing is kept outside of the pools; states: where the model has
  /// recurrent layers, with at least max_sequences slots. States are not kept outside, and pages are of no use without them.
  Scheduler(const SchedulerOptions& options, PageCache& pages, MediaSource* media = nullptr,
            ColdPages* cold = nullptr, StateCache* states = nullptr)
      : options_(options),
        budget_(options.max_batch_tokens, options.max_itl_ms),
        pages_(pages),
        media_(media),
        cold_(states ? nullptr : cold),
        states_(states) {}

  /// Queues a sequence whose prompt and answer fit the page pool when it is alone.
  void add(std::shared_ptr<Sequence> sequence);

  /// Drops cancelled sequences and those whose pictures can't be encoded, then plans a step. Empty when there is nothing
  /// to do before something comes: a sequence, or what is being read from disk.
  Batch next();

  /// The step is done: tokens[i] is the next token of the i-th chunk with `sample`. Publishes full pages, hands tokens
  /// out, ends what has ended.
  void commit(const Batch& batch, const std::vector<std::int32_t>& tokens);

  /// Learns from how long a step took.
  void observe(const Batch& batch, double ms);

  /// The step failed: ends its sequences with the error and frees their pages, whose content is lost.
  void fail(const Batch& batch, const Error& error);

  /// Takes every running sequence's pages away; they are computed again, in the order of arrival.
  void preempt_all();

  /// Ends every sequence with the error.
  void fail_all(const Error& error);

  bool idle() const { return running_.empty() && waiting_.empty(); }
  std::size_t num_running() const { return running_.size(); }
  std::size_t num_waiting() const { return waiting_.size(); }
  const SchedulerCounters& counters() const { return counters_; }
  /// The running sequences' pages, one entry a reference.
  std::vector<PageId> pages_in_use() const;

 private:
  void drop_dead();
  void plan_decode(Batch& batch);
  void plan_prefill(Batch& batch);
  std::vector<std::shared_ptr<Sequence>> prompts_to_compute(Batch& batch);
  void admit(Batch& batch);
  bool wants_more_prompts() const;
  void run(const std::shared_ptr<Sequence>& sequence);
  void wait(const std::shared_ptr<Sequence>& sequence);
  std::int64_t unknown_tokens(Sequence& sequence);
  bool computed_by_another(Sequence& sequence);
  void announce(Sequence& sequence);
  /// Takes the sequence's cached prefix and pages for the rest of its tokens; false (nothing taken) without room.
  bool place(Sequence& sequence, Batch& batch);
  bool place_with_state(Sequence& sequence, Batch& batch);
  void match_pages(Sequence& sequence);
  std::int64_t to_next_snapshot(const Sequence& sequence) const;
  void save_snapshot(Batch& batch, Sequence& sequence, std::int64_t end);
  std::optional<PageCache::Beginning> find_beginning(const Sequence& sequence);
  /// Asks for pages that follow the matched ones; false where there are none.
  bool request_pages(Sequence& sequence);
  /// Takes the pages that have come; true once nothing more will.
  bool finish_reading(Batch& batch, Sequence& sequence);
  bool take_page(Sequence& sequence);
  void stop_reading(Sequence& sequence);
  std::size_t num_reusable(const Sequence& sequence) const;
  void count_admission(Sequence& sequence);
  void count_match(const Sequence& sequence);
  void count_encoded(const Sequence& sequence);
  std::size_t num_pages_for(std::int64_t num_tokens) const;
  bool has_room(const Sequence& sequence, std::int64_t num_tokens) const;
  bool may_have_room(Sequence& sequence);
  bool has_room_to_start(const Sequence& sequence) const;
  bool ensure_pages(Sequence& sequence, std::int64_t num_tokens);
  /// Computes as many of its tokens as there are, can be computed and fit the first `max_tokens` of the step.
  void add_chunk(Batch& batch, const std::shared_ptr<Sequence>& sequence, int max_tokens);
  std::int64_t computable_tokens(Batch& batch, Sequence& sequence);
  void preempt_last();
  const PageKey& key_of(Sequence& sequence, std::size_t index);
  PageKey parent_key(const Sequence& sequence) const;
  void publish_full_pages(Sequence& sequence);
  void publish_rest(Sequence& sequence);
  double page_cost(std::int64_t begin) const;
  /// Publishes what the sequence has computed, and lets go of it.
  void retire(Sequence& sequence);
  void free_pages(Sequence& sequence);
  void release_sources(const Batch& batch);
  /// Appends the token; returns the reason when the sequence ends with it.
  std::optional<FinishReason> append(Sequence& sequence, std::int32_t token);
  /// The same with what its constraint forces behind it. Throws the constraint's Error.
  std::optional<FinishReason> extend(Sequence& sequence, std::int32_t token);
  /// The step's token for the sequence.
  void take(const std::shared_ptr<Sequence>& sequence, std::int32_t token);

  SchedulerOptions options_;
  StepBudget budget_;
  PageCache& pages_;
  MediaSource* media_;
  ColdPages* cold_;
  StateCache* states_;
  int num_loads_ = 0;       ///< in this step
  bool encoding_ = false;   ///< the last step ran the encoder
  std::uint64_t step_ = 0;  ///< number of the step that is planned
  std::uint64_t num_added_ = 0;
  std::map<Order, std::shared_ptr<Sequence>> waiting_;
  std::vector<std::shared_ptr<Sequence>> running_;  ///< in order
  /// Pages that running sequences compute: others with the same prefix wait for them.
  std::unordered_set<PageKey, PageKeyHash> announced_;
  SchedulerCounters counters_;
};

}  // namespace pippin::engine
