// Decides what the next step computes, and whose pages hold it. Sees page numbers and token counts, never a tensor.
//
// A step has a token budget: decode rows first, then prefill chunks of running sequences, then new ones, in the order of
// arrival. A sequence is admitted when pages for its whole prompt are there; when decoding runs out of pages, the youngest
// sequence gives its pages back and is computed again later (its published pages usually still found in the cache).
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <vector>

#include "engine/page_cache.h"
#include "engine/sequence.h"

namespace pippin::engine {

struct SchedulerOptions {
  int max_batch_tokens = 512;  ///< rows a step
  int max_sequences = 64;      ///< running at once
};

/// One sequence's part of a step: computes its tokens [num_computed, num_computed + count).
struct Chunk {
  std::shared_ptr<Sequence> sequence;
  int count;
  bool sample;  ///< the last row is the sequence's last token: its logits give the next one
};

/// One step: decode rows (count 1) come first.
struct Batch {
  std::vector<Chunk> chunks;
  int num_tokens = 0;
};

struct SchedulerCounters {
  std::int64_t prompt_tokens = 0;
  std::int64_t cached_tokens = 0;
  std::int64_t generated_tokens = 0;
  std::int64_t preemptions = 0;
};

/// Owned by the engine's thread. Between next() and commit() the batch's sequences stay as they are.
class Scheduler {
 public:
  Scheduler(const SchedulerOptions& options, PageCache& pages) : options_(options), pages_(pages) {}

  /// Queues a sequence whose prompt and answer fit the page pool when it is alone.
  void add(std::shared_ptr<Sequence> sequence) { waiting_.push_back(std::move(sequence)); }

  /// Drops cancelled sequences, then plans a step. Empty when there is nothing to do.
  Batch next();

  /// The step is done: tokens[i] is the next token of the i-th chunk with `sample`. Publishes full pages, hands tokens
  /// out, ends what has ended.
  void commit(const Batch& batch, const std::vector<std::int32_t>& tokens);

  /// The step failed: ends its sequences with the error and frees their pages.
  void fail(const Batch& batch, const Error& error);

  /// Takes every running sequence's pages away; they are computed again, in the order of arrival.
  void preempt_all();

  /// Ends every sequence with the error.
  void fail_all(const Error& error);

  bool idle() const { return running_.empty() && waiting_.empty(); }
  std::size_t num_running() const { return running_.size(); }
  std::size_t num_waiting() const { return waiting_.size(); }
  const SchedulerCounters& counters() const { return counters_; }

 private:
  void drop_cancelled();
  void plan_decode(Batch& batch);
  void plan_prefill(Batch& batch);
  void admit(Batch& batch);
  /// Takes the sequence's cached prefix and pages for the rest of its tokens; false (nothing taken) without room.
  bool place(Sequence& sequence);
  void match_prefix(Sequence& sequence);
  bool ensure_pages(Sequence& sequence, std::int64_t num_tokens);
  void add_chunk(Batch& batch, const std::shared_ptr<Sequence>& sequence, std::int64_t count);
  void preempt_youngest();
  void publish_full_pages(Sequence& sequence);
  void free_pages(Sequence& sequence);
  /// Appends the token; returns the reason when the sequence ends with it.
  std::optional<FinishReason> append(Sequence& sequence, std::int32_t token);
  void remove(const std::shared_ptr<Sequence>& sequence);

  SchedulerOptions options_;
  PageCache& pages_;
  std::deque<std::shared_ptr<Sequence>> waiting_;
  std::vector<std::shared_ptr<Sequence>> running_;  ///< in order of arrival
  SchedulerCounters counters_;
};

}  // namespace pippin::engine
