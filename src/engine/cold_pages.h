// Pages that lie outside of the pools, as the scheduler sees them.
#pragma once

#include <span>

#include "engine/page_cache.h"

namespace pippin::engine {

/// Full pages by key, kept on disk. On the engine's thread, and nothing here waits: a page that is asked for comes later.
class ColdPages {
 public:
  enum class State { absent, coming, here };

  virtual ~ColdPages() = default;

  /// Asks for a page; false where there is none. Each successful call is ended by one of forget().
  virtual bool request(const PageKey& key) = 0;
  /// Of a page that was asked for. absent: it could not be read after all.
  virtual State state(const PageKey& key) = 0;
  /// Copies a page that is here into the pools; false, and nothing is copied, where it is not this content after this parent.
  virtual bool load(const PageKey& key, const PageKey& parent, const PageContent& content,
                    PageId page) = 0;
  virtual void forget(const PageKey& key) = 0;

  /// A full page has been computed and published: worth keeping.
  virtual void published(const PageKey& key) = 0;
  /// A sequence's pages have been of use, in its order.
  virtual void used(std::span<const PageKey> keys) = 0;
};

}  // namespace pippin::engine
