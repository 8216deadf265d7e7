// Which KV page belongs to whom, and which pages hold a prefix that a later prompt may reuse. Page numbers only: it touches
// no tensor, so it is tested without a model.
//
// Pages are published under keys that form a chain: a key is the hash of the parent page's key and the page's content, so it
// stands for the whole prefix up to the page's end, in this process and in any other. A look-up compares parent and content
// as well, so that not even a collision returns another prompt's KV. Content is the page's tokens and, where media
// placeholders lie in it, the media's digests: the same words with another picture are another page.
//
// What is evicted is what is cheapest to lose: leaves only (a parent is of use without its child, never the other way
// round), by GreedyDual (Young, "The k-server dual and loose competitiveness for paging", 1994): a page's priority is the
// clock at its last use plus the cost of computing it anew, and the clock follows the priorities that have been evicted.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <tuple>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "base/digest.h"
#include "pippin/pixels.h"

namespace pippin::engine {

using PageId = std::int32_t;
/// Stands for a page's content and all that comes before it.
using PageKey = Digest;
/// The parent of a sequence's first page, where no salt parts the cache.
inline constexpr PageKey root_key{};

/// The parent of the first pages of sequences with this salt: chains of different salts have no key in common. Empty: root_key.
PageKey cache_root(std::string_view salt);

/// The key of a medium's features in the part of the cache that `root` begins.
Digest salted(const PageKey& root, const Digest& digest);

/// What the first tokens of a page are.
struct PageContent {
  /// A picture (or part of a clip) whose placeholders lie in the page.
  struct Media {
    std::int32_t begin;   ///< its first token in the page
    std::int32_t offset;  ///< which of its rows that is
    Digest digest;
    bool operator==(const Media&) const = default;
  };

  std::vector<std::int32_t> tokens;  ///< at most a page's; fewer in a page that is not full
  std::vector<Media> media;          ///< in order
  /// Of a sequence's first page: which adapter computes it (with what else makes equal tokens mean other KV).
  std::string adapter;

  bool operator==(const PageContent&) const = default;
};

/// How many first tokens two pages after the same parent have in common.
int common_tokens(const PageContent& a, const PageContent& b);

/// BLAKE3 of the parent's key and the content.
PageKey page_key(const PageKey& parent, const PageContent& content);

/// Owned by the engine's thread. Every page is in exactly one state: free; used (references > 0), published or not;
/// cached (published, no references). Always: the parent of a published page is published, and used while the child is.
class PageCache {
 public:
  using KeyFn = std::function<PageKey(const PageKey&, const PageContent&)>;

  /// reuse false: pages are never published, so nothing is ever shared. key: replaceable so that a test can force collisions.
  PageCache(int num_pages, int page_size, bool reuse = true, KeyFn key = page_key);

  int page_size() const { return page_size_; }
  bool reuse() const { return reuse_; }
  int num_pages() const { return static_cast<int>(pages_.size()); }
  /// Pages in neither use nor cache.
  int num_free() const { return static_cast<int>(free_.size()); }
  int num_cached() const { return num_cached_; }
  /// Pages that allocate() can still give.
  int num_available() const { return num_free() + num_cached(); }
  std::int64_t num_evicted() const { return num_evicted_; }

  /// An unpublished page with one reference; evicts a cached one when none is free. nullopt when every page is in use.
  std::optional<PageId> allocate();

  PageKey key_of(const PageKey& parent, const PageContent& content) const {
    return key_(parent, content);
  }

  /// The published page with this content after `parent` (`key` is key_of them), with one reference more.
  std::optional<PageId> find(const PageKey& key, const PageKey& parent, const PageContent& content);

  /// A page that begins as another does, for a copy to go on from.
  struct Beginning {
    PageId page;
    int tokens;  ///< in common, at least 1
  };
  /// Of the pages after `parent` that were published last, the one that has most first tokens in common with `content`, with one
  /// reference more.
  std::optional<Beginning> find_beginning(const PageKey& parent, const PageContent& content);

  /// The content of the page that find_beginning looks for, also where no token is in common; null where nothing is published
  /// after `parent`: how a known text goes on there.
  const PageContent* continuation(const PageKey& parent, const PageContent& content) const;

  /// A published page; the pointers hold until the cache is changed.
  struct Published {
    PageId page;
    const PageKey* parent;
    const PageContent* content;
  };
  std::optional<Published> published(const PageKey& key) const;

  /// Whether the page of this key has been evicted lately.
  bool evicted_lately(const PageKey& key) const { return evicted_.count(key) > 0; }

  /// Makes a page findable; it must be in use and unpublished, its parent published (or a root), and the caller no
  /// longer write to the tokens in `content`. cost: of computing it, in pages at the beginning of a context. Returns the page that holds the
  /// content now: where it is published already, that one, and the caller's reference has moved to it. nullopt
  /// when it can't be published (no reuse, or another content's key is the same): nor can what follows.
  std::optional<PageId> publish(PageId page, const PageKey& parent, const PageKey& key,
                                PageContent content, double cost = 1);

  /// Drops one reference of each page of a sequence, the last page first.
  void release(std::span<const PageId> pages);

  /// Pages in neither use nor cache, in no order.
  const std::vector<PageId>& free_pages() const { return free_; }

  /// Frees every cached page: nothing published before is found again, unless a sequence still uses it.
  void forget_cached();

  /// The first rule of the above that does not hold, or "" (for tests). `used`: the sequences' pages, one entry a reference;
  /// `roots`: the parents of first pages.
  std::string check(std::span<const PageId> used,
                    std::span<const PageKey> roots = {&root_key, 1}) const;

 private:
  struct Page {
    int references = 0;
    bool published = false;
    // While published:
    PageKey key{}, parent{};
    PageContent content;
    double cost = 0, priority = 0;
    std::uint64_t used_at = 0;          ///< release number: breaks ties, the oldest goes first
    PageId older = none, newer = none;  ///< siblings, by the order of publishing
  };
  static constexpr PageId none = -1;

  Page& at(PageId id) { return pages_[static_cast<std::size_t>(id)]; }
  const Page& at(PageId id) const { return pages_[static_cast<std::size_t>(id)]; }
  bool is_leaf(const Page& page) const { return newest_child_.count(page.key) == 0; }
  /// page none where nothing is published after `parent`.
  Beginning best_sibling(const PageKey& parent, const PageContent& content) const;
  void take(PageId id);
  void drop(PageId id);
  void link(PageId id);
  void unlink(PageId id);
  void make_evictable(PageId id);
  void evict(PageId id);
  void remember_evicted(const PageKey& key);
  void free_beginnings_of(PageId id);

  int page_size_;
  bool reuse_;
  KeyFn key_;
  std::vector<Page> pages_;
  std::vector<PageId> free_;
  int num_cached_ = 0;
  double clock_ = 0;
  std::uint64_t num_releases_ = 0;
  std::int64_t num_evicted_ = 0;
  std::unordered_map<PageKey, PageId, DigestHash> published_;
  std::unordered_map<PageKey, PageId, DigestHash> newest_child_;  ///< by the parent's key
  /// Cached leaves, the next to go first: (priority, used_at, page).
  std::set<std::tuple<double, std::uint64_t, PageId>> evictable_;
  std::unordered_set<PageKey, DigestHash> evicted_;
  std::deque<PageKey> evicted_order_;
};

}  // namespace pippin::engine
