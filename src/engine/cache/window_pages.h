// The pages of layers with a window. Such layers read a context's last tokens only, so their pages have pools of their own, with fewer
// pages than the page cache has: each belongs to a page of the page cache, its owner, for as long as it is of use.
//
// A window page holds the keys and values of its owner's tokens. A sequence uses those that its next rows see. What no sequence uses is
// kept with its owner until the room is wanted, since a later prompt goes on from a prefix only where the window before its end is still
// there. What a long prompt has left behind goes first; what answers ended with goes last.
#pragma once

#include <cstddef>
#include <cstdint>
#include <list>
#include <span>
#include <string>
#include <vector>

#include "engine/cache/page_cache.h"

namespace pippin::engine {

/// How many window pages sequences need.
struct WindowNeeds {
  int window = 0;  ///< of the layers; a row sees that many tokens, itself included
  int page_size = 16;
  int max_batch_tokens = 512;  ///< rows of a step

  /// Pages of one running sequence: its window, the pages at both ends that hold only a part, and the page whose beginning it copies.
  int of_sequence() const;
  /// Pages that a running sequence uses at most, whose context never exceeds so many tokens. Without the page that it copies.
  int of_context(std::int64_t num_tokens) const;
  /// Pages of the rows of two steps, one of which is planned while the other runs.
  int of_steps() const { return 2 * (max_batch_tokens / page_size + 1); }
};

/// Owned by the engine's thread. Owners are pages of one PageCache.
class WindowPages {
 public:
  WindowPages(int num_pages, int num_owners, const WindowNeeds& needs);

  int num_pages() const { return num_pages_; }
  int num_free() const { return static_cast<int>(free_.size()); }
  const std::vector<PageId>& free_pages() const { return free_; }
  /// Used by no sequence, holding what a later prompt may go on from.
  int num_cached() const { return static_cast<int>(left_behind_.size() + last_to_go_.size()); }
  /// Whether running sequences may use so many pages, beside those of two steps' rows.
  bool has_room_for(std::int64_t num_pages) const;
  const WindowNeeds& needs() const { return needs_; }

  /// The first page of a context that a row at `position` sees, and one more before it, so that a prompt may part from an answer shortly
  /// before its end.
  std::size_t first_kept(std::int64_t position) const;
  /// Of a context's first pages: how many a prompt may go on from, all of whose window is there.
  std::size_t resumable(std::span<const PageId> pages) const;

  bool has(PageId owner) const { return of(owner).page != none; }
  /// The owner's window page, which it must have.
  PageId at(PageId owner) const { return of(owner).page; }

  /// Gives the owner a window page for its next user, whose content is anything. Throws Error(internal) where every page is used.
  void add(PageId owner);
  /// The same, without a user: false where every page is used.
  bool add_cached(PageId owner);
  /// One more user of what the owner has.
  void use(PageId owner);
  /// One user less. last_to_go: a later prompt is likely to go on from it.
  void drop(PageId owner, bool last_to_go);
  /// The owner's tokens are now those of another page, which takes the window page over with its users unless it has one.
  void move(PageId from, PageId to);
  /// The owner's content is no longer what it was. Nobody uses it.
  void forget(PageId owner);
  /// Forgets whatever no sequence uses.
  void forget_cached();
  /// See PageCache::reset.
  void reset() noexcept;

  /// For tests: the first broken invariant, or "". `used`: the owners that are in use, one entry a user.
  std::string check(std::span<const PageId> used) const;

 private:
  static constexpr PageId none = -1;
  using Order = std::list<PageId>;  ///< of owners, the next to go first

  struct Owned {
    PageId page = none;
    int users = 0;
    bool last_to_go = false;
    Order::iterator place = {};  ///< in one of the orders, where there is a page that nobody uses
  };

  Owned& of(PageId owner) { return owned_[static_cast<std::size_t>(owner)]; }
  const Owned& of(PageId owner) const { return owned_[static_cast<std::size_t>(owner)]; }
  std::size_t first_seen(std::int64_t position) const;
  bool is_cached(const Owned& owned) const { return owned.page != none && owned.users == 0; }
  bool take_page(PageId owner);
  void keep(PageId owner, bool last_to_go);
  void stop_keeping(Owned& owned);
  void free_page(PageId owner);

  WindowNeeds needs_;
  int num_pages_;
  std::vector<Owned> owned_;  ///< by owner
  std::vector<PageId> free_;
  Order left_behind_, last_to_go_;  ///< the first go before the second
};

}  // namespace pippin::engine
