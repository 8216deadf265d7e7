// Assigns pages to sequences. Sees page numbers and token counts, never a tensor.
//
// A sequence gets the cached pages of its prefix and new pages for the rest of its tokens at once, or nothing. If its prefix
// continues on disk, the sequence keeps room for those pages and waits for them. Pages are published when they are full; a
// half-filled page is published when its sequence gives it back.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <unordered_set>

#include "engine/cache/cold_pages.h"
#include "engine/cache/page_cache.h"
#include "engine/cache/state_cache.h"
#include "engine/schedule/batch.h"
#include "engine/schedule/sequence.h"

namespace pippin::engine {

struct PlacementOptions {
  /// Context length, in tokens, at which attention costs as much as the rest of a layer. Sets the cost of recomputing a page.
  int attention_tokens = 4096;
  int max_pages_ahead = 32;  ///< limit on pages requested from disk before the first has come
  int max_loads_beside =
      8;  ///< limit on pages copied from disk into the pools in a step with decode rows
};

/// Admitted prompts by how much of them the page cache knew. Each request counts once.
struct PrefixCounters {
  std::int64_t whole = 0;     ///< everything but the last token, which is always computed
  std::int64_t extended = 0;  ///< a cached text to its end, which the prompt continues
  std::int64_t diverged = 0;  ///< up to a point where a cached text differs
  std::int64_t evicted = 0;   ///< up to a point where pages were evicted
  std::int64_t unknown = 0;   ///< nothing
};

/// Owned by the scheduler, on the engine's thread. A sequence has either no pages or pages for all of its tokens so far.
/// A running step may still write a page that was given back: the next owner of the page computes after that step.
class Placement {
 public:
  /// cold: null without a disk cache. states: null without recurrent layers. States are not kept on disk, and pages are useless
  /// without them.
  Placement(const PlacementOptions& options, PageCache& pages, ColdPages* cold, StateCache* states)
      : options_(options), pages_(pages), cold_(states ? nullptr : cold), states_(states) {}

  void begin_step() { num_loads_ = 0; }

  // Sequences without pages.
  /// Tokens of the prompt that are not cached now.
  std::int64_t unknown_tokens(Sequence& sequence);
  /// Whether a running sequence computes the next unknown page of the prompt, which will then be cached.
  bool computed_by_another(Sequence& sequence);
  /// Takes the cached prefix and new pages for the rest, and announces the pages that the sequence will compute. Returns false, and
  /// takes nothing, without room for these and one page for each of `num_running`.
  bool place(Sequence& sequence, Batch& batch, std::size_t num_running);

  // Sequences with pages.
  /// Takes the pages that have come from disk. Returns true once no more will come. beside: the step computes other sequences too.
  bool finish_loading(Sequence& sequence, bool beside);
  /// Grows the sequence's pages to that many tokens. Returns false, and takes nothing, without room.
  bool ensure_pages(Sequence& sequence, std::int64_t num_tokens);
  /// Limit on the tokens of one step, so that a step ends where a snapshot is due.
  std::int64_t max_chunk(const Sequence& sequence) const;
  /// Adds a snapshot to the step if one is due at token `end`.
  void save_snapshot(Batch& batch, Sequence& sequence, std::int64_t end);
  void publish_full_pages(Sequence& sequence);
  /// Publishes what the sequence has computed and gives its pages back.
  void retire(Sequence& sequence);
  /// Gives the pages back; their unpublished content is lost.
  void free_pages(Sequence& sequence);

  // Steps.
  /// Whether page keys are known before a step's tokens are. A snapshot's key is not.
  bool may_run_ahead() const { return states_ == nullptr; }
  void step_done(const Batch& batch);
  void step_failed(const Batch& batch);
  /// Forgets all snapshots of recurrent states.
  void forget_states();

  /// Counts how much of the prompt was cached, and notes where a cached text differs.
  void count_match(const Sequence& sequence, PrefixCounters& count) const;

 private:
  bool place_with_state(Sequence& sequence, Batch& batch, std::size_t num_running);
  bool place_pages(Sequence& sequence, Batch& batch, std::size_t num_running);
  void announce(Sequence& sequence);
  void match_pages(Sequence& sequence);
  std::optional<PageCache::Beginning> find_beginning(const Sequence& sequence) const;
  /// Requests the pages after the matched ones from disk. Returns false if there are none.
  bool request_pages(Sequence& sequence);
  bool take_page(Sequence& sequence);
  void stop_loading(Sequence& sequence);
  std::int64_t reusable_tokens(const Sequence& sequence) const;
  std::size_t num_reusable(const Sequence& sequence) const;
  std::size_t num_pages_for(std::int64_t num_tokens) const;
  bool has_room(const Sequence& sequence, std::int64_t num_tokens) const;
  bool may_have_room(Sequence& sequence);
  bool has_room_to_start(const Sequence& sequence, std::size_t num_running) const;
  const PageKey& key_of(Sequence& sequence, std::size_t index);
  PageKey parent_key(const Sequence& sequence) const;
  void publish_rest(Sequence& sequence);
  double page_cost(std::int64_t begin) const;
  void release_sources(const Batch& batch);

  PlacementOptions options_;
  PageCache& pages_;
  ColdPages* cold_;
  StateCache* states_;
  int num_loads_ = 0;  ///< pages loaded in this step
  /// Pages that running sequences compute. Sequences with the same prefix wait for them.
  std::unordered_set<PageKey, DigestHash> announced_;
};

}  // namespace pippin::engine
