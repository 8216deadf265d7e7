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
#include "engine/schedule/window_placement.h"

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
  /// cold: null without a disk cache. states: null without recurrent layers. cold_states: snapshots on disk, by the key of the
  /// full page that ends with their prefix; null without either. windows: null where no layer's pages are apart; not with states.
  Placement(const PlacementOptions& options, PageCache& pages, ColdPages* cold, StateCache* states,
            ColdPages* cold_states, WindowPages* windows)
      : options_(options),
        pages_(pages),
        cold_(cold),
        states_(states),
        cold_states_(cold ? cold_states : nullptr),
        has_windows_(windows != nullptr),
        windows_(pages, windows) {}

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
  /// Takes the pages, and the state, that have come from disk. Returns true once no more will come. beside: the step computes other
  /// sequences too. A sequence that has no pages afterwards has to be placed again.
  bool finish_loading(Sequence& sequence, Batch& batch, bool beside);
  /// Grows the sequence's pages to that many tokens. Returns false, and takes nothing, without room.
  bool ensure_pages(Sequence& sequence, std::int64_t num_tokens);
  /// Before the chunk is computed: what its rows need beside pages.
  void prepare(Chunk& chunk) {
    windows_.cover(chunk);
    plan_snapshots(chunk);
  }
  void publish_full_pages(Sequence& sequence);
  /// After the chunk's tokens were computed.
  void advance(Sequence& sequence) { windows_.advance(sequence); }
  /// After the chunk's pages have been published: its snapshots may be found from now on.
  void publish_snapshots(const Chunk& chunk);
  /// The chunk's sequence has lost its pages meanwhile.
  void release_saves(const Chunk& chunk);
  /// Publishes what the sequence has computed, its state included, and gives its pages back.
  void retire(Sequence& sequence);
  /// Gives the pages back; their unpublished content is lost.
  void free_pages(Sequence& sequence);

  // Steps.
  /// The step is planned. The pages that it copies from need not be kept until it is done: whoever gets them computes after it.
  void step_planned(const Batch& batch);
  /// Nobody has pages or states any more, and nothing is cached. Needs no memory and trusts nothing (see PageCache::reset).
  void reset() noexcept;

  /// Counts how much of the prompt was cached, and notes where a cached text differs.
  void count_match(const Sequence& sequence, PrefixCounters& count) const;

 private:
  /// A snapshot within a page, and a page that begins with the tokens before it.
  struct StateStart {
    PageCache::Beginning page;
    PageKey key;
  };

  /// Adds to the chunk the snapshots that are due in it.
  void plan_snapshots(Chunk& chunk);
  PageId allocate();
  std::optional<PageId> publish(PageId page, const PageKey& parent, const PageKey& key,
                                PageContent content, std::int64_t begin);
  void cut_to_window(Sequence& sequence);
  void note_parting(Sequence& sequence);
  void give_up_last_page(Sequence& sequence);
  bool swap_last_page(Sequence& sequence);
  bool place_with_state(Sequence& sequence, Batch& batch, std::size_t num_running);
  std::optional<StateStart> find_rest(Sequence& sequence);
  std::size_t pages_to_load(Sequence& sequence);
  void cut_to_snapshot(Sequence& sequence);
  void start(Sequence& sequence, Batch& batch, const std::optional<StateStart>& rest,
             std::optional<StateSlot> snapshot);
  void start_loading(Sequence& sequence);
  bool load_pages(Sequence& sequence, bool beside);
  bool load_state(Sequence& sequence, Batch& batch);
  void restart(Sequence& sequence, Batch& batch);
  void keep_state(Sequence& sequence, const PageKey& key);
  std::int64_t next_due(const Sequence& sequence, std::int64_t after) const;
  bool holds_exact_state(const Sequence& sequence) const;
  double state_cost(const Sequence& sequence, std::int64_t end) const;
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
  PageKey parent_at(const Sequence& sequence, std::size_t index) const;
  PageKey parent_key(const Sequence& sequence) const {
    return parent_at(sequence, sequence.num_published);
  }
  std::optional<PageKey> publish_rest(Sequence& sequence);
  double page_cost(std::int64_t begin) const;

  PlacementOptions options_;
  PageCache& pages_;
  ColdPages* cold_;
  StateCache* states_;
  ColdPages* cold_states_;
  bool has_windows_;
  WindowPlacement windows_;
  int num_loads_ = 0;  ///< pages loaded in this step
  /// Pages that running sequences compute. Sequences with the same prefix wait for them.
  std::unordered_set<PageKey, DigestHash> announced_;
};

}  // namespace pippin::engine
