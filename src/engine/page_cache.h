// Which KV page belongs to whom, and which pages hold a prefix that a later prompt may reuse. Page numbers only: it touches
// no tensor, so it is tested without a model.
//
// Full pages are published under the chain (parent page, the page's content). A chain link is the parent's unique id, not a
// hash, and a look-up compares content, so no hash collision can return another prompt's KV. Content is the page's tokens
// and, where media placeholders lie in it, the media's digests: the same words with another picture are another page.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <list>
#include <optional>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

namespace pippin::engine {

using PageId = std::int32_t;
/// Identifies a published page for as long as it holds its content; never reused. 0 is the root: no parent.
using ChainId = std::uint64_t;
inline constexpr ChainId root_chain = 0;

/// Owned by the engine's thread. Every page is in exactly one state: free; used (references > 0), published or not;
/// cached (published, no references), evictable from the least recently used on.
class PageCache {
 public:
  /// The hash of (parent, content); replaceable so that a test can force collisions.
  using HashFn = std::function<std::size_t(ChainId, const std::string&)>;

  /// reuse false: pages are never published, so nothing is ever shared.
  PageCache(int num_pages, int page_size, bool reuse = true, HashFn hash = {});

  int page_size() const { return page_size_; }
  int num_pages() const { return static_cast<int>(pages_.size()); }
  /// Pages in neither use nor cache.
  int num_free() const { return static_cast<int>(free_.size()); }
  int num_cached() const { return static_cast<int>(cached_.size()); }
  /// Pages that allocate() can still give.
  int num_available() const { return num_free() + num_cached(); }

  /// An unpublished page with one reference; evicts the least recently used cached page when none is free.
  /// nullopt when every page is in use.
  std::optional<PageId> allocate();

  /// The published page with this content after `parent`, with one reference more; nullopt when there is none.
  std::optional<PageId> find(ChainId parent, const std::string& content);

  /// Whether find() would succeed, without taking a reference.
  bool contains(ChainId parent, const std::string& content) const;

  /// Makes a full page findable. Where equal content is published already the page stays private, and that one's chain id
  /// is returned, since what follows either is the same. `page` must be in use and unpublished.
  ChainId publish(PageId page, ChainId parent, std::string content);

  /// The chain id of a published page in use.
  ChainId chain_of(PageId page) const { return pages_[static_cast<std::size_t>(page)].chain; }

  /// Drops one reference of each page of a sequence, the last page first, so that eviction takes leaves before their parents.
  void release(std::span<const PageId> pages);

  /// Frees every cached page: nothing published before is found again, unless a sequence still uses it.
  void forget_cached();

 private:
  struct Key {
    ChainId parent;
    std::string content;
    bool operator==(const Key&) const = default;
  };
  struct KeyHash {
    HashFn hash;
    std::size_t operator()(const Key& key) const { return hash(key.parent, key.content); }
  };
  struct Page {
    int references = 0;
    ChainId chain = root_chain;          ///< set while published
    std::optional<Key> key;              ///< set while published
    std::list<PageId>::iterator cached;  ///< valid while published without references
  };

  void evict_oldest();

  int page_size_;
  bool reuse_;
  ChainId last_chain_ = root_chain;
  std::vector<Page> pages_;
  std::vector<PageId> free_;
  std::list<PageId> cached_;  ///< least recently used first
  std::unordered_map<Key, PageId, KeyHash> published_;
};

}  // namespace pippin::engine
