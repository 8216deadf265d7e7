// The disk cache's pages, and snapshots of recurrent states, as the scheduler sees them.
#pragma once

#include <span>

#include "engine/cache/page_cache.h"

namespace pippin::engine {

/// Full pages by key, or the snapshots after them, kept on disk. Used on the engine's thread. Nothing here waits: a requested page arrives later.
class ColdPages {
 public:
  enum class State { absent, coming, here };

  virtual ~ColdPages() = default;

  /// Whether request() would succeed.
  virtual bool contains(const PageKey& key) const = 0;
  /// Requests a page. Returns false if there is none. Each successful call needs one call of forget().
  virtual bool request(const PageKey& key) = 0;
  /// The state of a requested page. absent: it could not be read.
  virtual State state(const PageKey& key) = 0;
  /// Copies a page that is here into the pools. Returns false, and copies nothing, if its content or parent differs.
  virtual bool load(const PageKey& key, const PageKey& parent, const PageContent& content,
                    PageId page) = 0;
  virtual void forget(const PageKey& key) = 0;
  /// Forgets all requests, however often they were made.
  virtual void forget_all() noexcept = 0;

  /// Notes that a full page was published and is worth keeping.
  virtual void published(const PageKey& key) = 0;
  /// Notes that a sequence used these pages, in its order.
  virtual void used(std::span<const PageKey> keys) = 0;
};

}  // namespace pippin::engine
