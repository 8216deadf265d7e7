// Which pages hold a sequence: its prefix as far as it is known, room for the rest, and what becomes of them. Sees page
// numbers and token counts, never a tensor.
//
// A sequence is given the cached pages of its prefix and new ones for the rest of its tokens at once, or nothing. Where its
// prefix goes on on disk, it waits for those pages and holds room for them meanwhile. Pages that it has computed are
// published as they fill up; when it lets go of them, what it has half filled is, too.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <unordered_set>

#include "engine/batch.h"
#include "engine/cold_pages.h"
#include "engine/page_cache.h"
#include "engine/sequence.h"
#include "engine/state_cache.h"

namespace pippin::engine {

struct PlacementOptions {
  /// Where in a context attention costs as much as all else: what a page costs to compute anew depends on that.
  int attention_tokens = 4096;
  int max_pages_ahead = 32;  ///< that a sequence asks for from disk before it has the first
  int max_loads_beside =
      8;  ///< pages from disk put into the pools in a step that has decode rows, so that these don't wait
};

/// How far admitted prompts were found in the page cache, in requests, each counted once.
struct PrefixCounters {
  std::int64_t whole = 0;     ///< all but what is always computed: hits
  std::int64_t extended = 0;  ///< all that is known of this text, which goes on: hits
  std::int64_t diverged = 0;  ///< to where a known text goes on otherwise
  std::int64_t evicted = 0;   ///< to where its pages have been evicted
  std::int64_t unknown = 0;   ///< nothing
};

/// Owned by the scheduler, on the engine's thread. A sequence's pages are either none, or hold all of its tokens so far.
/// Pages that are let go of may still be written by a step under way: whoever gets them computes after it.
class Placement {
 public:
  /// cold: null where nothing is kept outside of the pools; states: where the model has recurrent layers. States are not
  /// kept outside, and pages are of no use without them.
  Placement(const PlacementOptions& options, PageCache& pages, ColdPages* cold, StateCache* states)
      : options_(options), pages_(pages), cold_(states ? nullptr : cold), states_(states) {}

  void begin_step() { num_loads_ = 0; }

  // Sequences without pages.
  /// Tokens of its prompt that would have to be computed as of now.
  std::int64_t unknown_tokens(Sequence& sequence);
  /// Whether a running sequence computes the page that follows the known ones: it will be found in the cache.
  bool computed_by_another(Sequence& sequence);
  /// Takes the sequence's cached prefix and pages for the rest of its tokens, and tells others what it will compute; false
  /// (nothing taken) without room for that and a page for each of `num_running`.
  bool place(Sequence& sequence, Batch& batch, std::size_t num_running);

  // Sequences with pages.
  /// Takes the pages that have come from disk; true once nothing more will. beside: others are computed in this step.
  bool finish_reading(Sequence& sequence, bool beside);
  /// Pages for that many tokens; false (nothing taken) without room.
  bool ensure_pages(Sequence& sequence, std::int64_t num_tokens);
  /// Tokens that it may compute in one step, for a snapshot's sake.
  std::int64_t max_chunk(const Sequence& sequence) const;
  /// The step computes the sequence up to `end`: a snapshot may be due.
  void save_snapshot(Batch& batch, Sequence& sequence, std::int64_t end);
  void publish_full_pages(Sequence& sequence);
  /// Publishes what the sequence has computed, and lets go of it.
  void retire(Sequence& sequence);
  /// Lets go of its pages, whose unpublished content is lost.
  void free_pages(Sequence& sequence);

  // Steps.
  /// Whether what a step makes of pages is known before its tokens are: a snapshot's key is not.
  bool may_run_ahead() const { return states_ == nullptr; }
  void step_done(const Batch& batch);
  void step_failed(const Batch& batch);
  /// What the recurrent layers' snapshots hold is lost.
  void forget_states();

  /// Counts how far the sequence's prompt was found, and notes where a known text goes on otherwise.
  void count_match(const Sequence& sequence, PrefixCounters& count) const;

 private:
  bool place_with_state(Sequence& sequence, Batch& batch, std::size_t num_running);
  bool place_pages(Sequence& sequence, Batch& batch, std::size_t num_running);
  void announce(Sequence& sequence);
  void match_pages(Sequence& sequence);
  std::optional<PageCache::Beginning> find_beginning(const Sequence& sequence) const;
  /// Asks for pages that follow the matched ones; false where there are none.
  bool request_pages(Sequence& sequence);
  bool take_page(Sequence& sequence);
  void stop_reading(Sequence& sequence);
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
  int num_loads_ = 0;  ///< in this step
  /// Pages that running sequences compute: others with the same prefix wait for them.
  std::unordered_set<PageKey, DigestHash> announced_;
};

}  // namespace pippin::engine
