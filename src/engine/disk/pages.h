// KV pages on disk, or snapshots of recurrent states: published ones are written behind, those that a prompt goes on with are read
// back.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "engine/cache/cold_pages.h"
#include "engine/disk/inbox.h"
#include "engine/disk/store.h"

namespace pippin::engine {

/// How the bytes of a page in the pools, or of a slot, are reached.
struct PageBytes {
  std::size_t size = 0;
  std::function<void(PageId, std::span<std::uint8_t>)> read;
  std::function<void(PageId, std::span<const std::uint8_t>)> write;
  /// Whether the page has all of its bytes now: an entry that was written without some is written again once there are. Null: always.
  std::function<bool(PageId)> is_whole = {};
};

/// Owned by the engine's thread. A page to be written waits as its key alone: it is copied when the store has room, and passed over
/// where it has been evicted by then. Of pages read, no more than a bounded number of bytes is under way or waits to be taken: few
/// enough that they are still in the processor's caches when they are copied on, and their memory serves for the next ones. What there
/// is no memory for is as if the disk had not had it, or is not written.
class DiskPages final : public ColdPages {
 public:
  DiskPages(std::shared_ptr<DiskStore> store, PageBytes bytes, EntryKind kind = EntryKind::page,
            std::size_t max_bytes_coming = std::size_t{16} << 20);

  bool contains(const PageKey& key) const override { return store_->contains(kind_, key); }
  bool request(const PageKey& key) override;
  State state(const PageKey& key) override;
  bool load(const PageKey& key, const PageKey& parent, const PageContent& content,
            PageId page) override;
  void forget(const PageKey& key) override;
  void forget_all() noexcept override;
  void published(const PageKey& key) override;
  void used(std::span<const PageKey> keys) override;

  /// Finds what was published by its key: its page or slot, and what the key is a hash of; nullopt once it is gone.
  using Find = std::function<std::optional<PageCache::Published>(const PageKey&)>;

  /// Copies published pages to the store until it has no room, none is left or `end` has come, but at least one. Returns whether any
  /// was: then there may be more to do at once.
  bool write_behind(const Find& find, std::chrono::steady_clock::time_point end);
  bool write_behind(const PageCache& pages, std::chrono::steady_clock::time_point end) {
    return write_behind([&](const PageKey& key) { return pages.published(key); }, end);
  }

 private:
  struct Read {
    int users = 0;
    bool started = false;
    State state = State::coming;
    Entry entry = {};  ///< when it is here
  };

  void start_reads();
  void take_arrived();
  RawBytes take_spare();
  bool is_whole(PageId page) const { return !bytes_.is_whole || bytes_.is_whole(page); }
  void note_bytes(const PageKey& key, PageId page);
  /// Copies the page; false where it has to wait for the store. `copied` says that there was something to do.
  bool write(const Find& find, const PageKey& key, bool& copied);
  bool write_or_lose(const Find& find, const PageKey& key, bool& copied);

  std::shared_ptr<DiskStore> store_;
  PageBytes bytes_;
  EntryKind kind_;
  std::shared_ptr<DiskInbox> inbox_ = std::make_shared<DiskInbox>();
  std::unordered_map<PageKey, Read, DigestHash> reads_;
  std::deque<PageKey> to_start_;
  std::size_t max_held_;
  std::size_t num_held_ = 0;       ///< reads started and neither taken nor failed
  std::vector<RawBytes> spare_;    ///< memory of pages that were taken, while others are wanted
  std::deque<PageKey> unwritten_;  ///< in order of publishing: parents first
  std::unordered_set<PageKey, DigestHash> in_part_;  ///< on disk without some of their bytes
};

}  // namespace pippin::engine
