// Assigns window pages (window_pages.h) to sequences. A model whose layers all keep every token has none: then all of this does nothing.
#pragma once

#include <cstdint>
#include <vector>

#include "engine/cache/page_cache.h"
#include "engine/cache/window_pages.h"
#include "engine/schedule/batch.h"
#include "engine/schedule/sequence.h"

namespace pippin::engine {

/// Used by Placement, on the engine's thread. A running sequence uses the window pages of its pages [window_begin, window_end). It starts
/// only where all that it will ever need is there for sure, beside what those that run may need.
class WindowPlacement {
 public:
  /// windows: null where no layer's pages are apart.
  WindowPlacement(PageCache& pages, WindowPages* windows) : pages_(pages), windows_(windows) {}

  bool has_room_to_start(const Sequence& sequence) const;
  bool has(PageId page) const { return !windows_ || windows_->has(page); }

  /// How many of the sequence's published pages it may go on from.
  std::size_t resumable(const Sequence& sequence) const;
  /// The sequence has room to start, and gets its pages.
  void reserve(Sequence& sequence);
  /// The sequence computes next what follows its num_computed tokens, all of whose pages are its own or published; or it loads it.
  void start(Sequence& sequence);
  /// The sequence's next page has come from disk.
  void loaded(Sequence& sequence);
  /// Nothing is used any more: what was loaded may be of no use.
  void stop(Sequence& sequence);
  /// `from` is copied to the page `to` of the sequence, its first one that is not whole. Used until copied(), when the step
  /// is planned.
  void copy(Sequence& sequence, PageId from, PageId to, Batch& batch);
  void copied(const PageCopy& copy);

  /// Before the chunk is computed: pages for its rows.
  void cover(Chunk& chunk);
  /// The sequence has computed more: it uses what its next rows see.
  void advance(Sequence& sequence);
  /// The sequence gives all of its pages back.
  void give_back(Sequence& sequence);

  /// See Placement::reset.
  void reset() noexcept;

  /// The page cache has handed the page out: what it held is gone.
  void allocated(PageId page);
  /// Publishing has made this one of that page.
  void published(PageId page, PageId now);

 private:
  int most_of(const Sequence& sequence) const;

  PageCache& pages_;
  WindowPages* windows_;
  std::int64_t reserved_ = 0;    ///< by placed sequences
  std::int64_t num_copied_ = 0;  ///< pages that the planned step copies from
};

}  // namespace pippin::engine
