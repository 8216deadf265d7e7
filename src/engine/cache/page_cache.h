// Ownership of KV pages, and the index of pages that a later prompt may reuse. Sees page numbers, never a tensor, so that it is
// tested without a model.
//
// Chain of keys: a page's key is the hash of its parent's key and its content. The key stands for the whole prefix up to the page's
// end, in every process. A look-up also compares parent and content, so that a hash collision cannot return another prompt's KV.
// The content is the page's tokens and the digests of media whose placeholders lie in the page: the same words with another image
// are another page.
//
// Eviction takes leaves only, since a child is useless without its parent. The order is GreedyDual (Young, "The k-server dual and
// loose competitiveness for paging", 1994): a page's priority is the clock at its last use plus the cost of recomputing the page,
// and the clock advances to the priority of each evicted page.
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
/// Identifies a page's content and everything before it.
using PageKey = Digest;
/// The parent of a sequence's first page, where no salt parts the cache.
inline constexpr PageKey root_key{};

/// The parent of the first pages of sequences with this salt: chains of different salts have no key in common. Empty: root_key.
PageKey cache_root(std::string_view salt);

/// The key of a medium's features in the part of the cache that `root` begins.
Digest salted(const PageKey& root, const Digest& digest);

/// The content of a page, from its first token on.
struct PageContent {
  /// A picture (or part of a clip) whose placeholders lie in the page.
  struct Media {
    std::int32_t begin;   ///< its first token in the page
    std::int32_t offset;  ///< index of that row among the image's rows
    Digest digest;
    bool operator==(const Media&) const = default;
  };

  std::vector<std::int32_t> tokens;  ///< at most a page's; fewer in a page that is not full
  std::vector<Media> media;          ///< in order
  /// Set in a sequence's first page: whatever else makes equal tokens mean other KV, such as the adapter.
  std::string adapter;

  bool operator==(const PageContent&) const = default;
};

/// The length of the common prefix of two pages with the same parent, in tokens.
int common_tokens(const PageContent& a, const PageContent& b);

/// BLAKE3 of the parent's key and the content.
PageKey page_key(const PageKey& parent, const PageContent& content);

/// Owned by the engine's thread. Every page is in exactly one state: free; used (references > 0), published or not;
/// cached (published, no references). Always: the parent of a published page is published, and used while the child is.
class PageCache {
 public:
  using KeyFn = std::function<PageKey(const PageKey&, const PageContent&)>;

  /// reuse false: pages are never published, so that nothing is shared. key: the hash, which a test can replace to force collisions.
  PageCache(int num_pages, int page_size, bool reuse = true, KeyFn key = page_key);

  int page_size() const { return page_size_; }
  bool reuse() const { return reuse_; }
  int num_pages() const { return static_cast<int>(pages_.size()); }
  /// Pages that are neither in use nor cached.
  int num_free() const { return static_cast<int>(free_.size()); }
  int num_cached() const { return num_cached_; }
  /// Pages that allocate() can still give.
  int num_available() const { return num_free() + num_cached(); }
  std::int64_t num_evicted() const { return num_evicted_; }

  /// Returns an unpublished page with one reference, evicting a cached page if none is free; nullopt if every page is in use.
  std::optional<PageId> allocate();

  PageKey key_of(const PageKey& parent, const PageContent& content) const {
    return key_(parent, content);
  }

  /// Finds the published page with this content after `parent` and adds a reference. `key` must be key_of(parent, content).
  std::optional<PageId> find(const PageKey& key, const PageKey& parent, const PageContent& content);

  /// A page that shares its first tokens with another, so that a copy of it can be continued.
  struct Beginning {
    PageId page;
    int tokens;  ///< in common, at least 1
  };
  /// Among the most recently published children of `parent`, finds the page with the longest common prefix with `content` and adds a
  /// reference.
  std::optional<Beginning> find_beginning(const PageKey& parent, const PageContent& content);

  /// The content of that page, even if no token is in common; null if `parent` has no published child. Shows how a cached text
  /// continues there.
  const PageContent* continuation(const PageKey& parent, const PageContent& content) const;

  /// A published page. The pointers are valid until the cache changes.
  struct Published {
    PageId page;
    const PageKey* parent;
    const PageContent* content;
  };
  std::optional<Published> published(const PageKey& key) const;

  /// Whether the page with this key was evicted recently.
  bool evicted_lately(const PageKey& key) const { return evicted_.count(key) > 0; }

  /// Publishes a page, so that find() returns it. The page must be in use and unpublished, its parent published or a root, and
  /// nobody may write to the tokens in `content` any more. cost: of recomputing the page, in units of a page at position 0.
  /// Returns the page that now holds the content. If the content was published before, that is the earlier page, and the caller's
  /// reference has moved to it. Returns nullopt if the page cannot be published (no reuse, or a collision); then its children
  /// cannot be published either.
  std::optional<PageId> publish(PageId page, const PageKey& parent, const PageKey& key,
                                PageContent content, double cost = 1);

  /// Drops one reference of each page of a sequence, last page first.
  void release(std::span<const PageId> pages);

  /// Pages that are neither in use nor cached, in no order.
  const std::vector<PageId>& free_pages() const { return free_; }

  /// All pages are free, as at the start; nobody may use one any more. Needs no memory and trusts nothing: for whatever state an
  /// exception has left behind.
  void reset() noexcept;

  /// Frees every cached page. A published page is found again only if a sequence still uses it.
  void forget_cached();

  /// For tests: the first broken invariant, or "". `used`: the sequences' pages, one entry a reference; `roots`: the parents of first
  /// pages.
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
