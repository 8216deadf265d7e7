// Passes results of disk reads from the disk store's threads to the engine's thread.
#pragma once

#include <list>
#include <memory>
#include <utility>

#include "base/mutex.h"
#include "engine/disk/store.h"

namespace pippin::engine {

/// Thread-safe. Running reads share ownership, since they may outlive the reader that began them.
class DiskInbox : public std::enable_shared_from_this<DiskInbox> {
 public:
  using Results = std::list<std::pair<Digest, ReadResult>>;

  /// Begins to read an entry, into the memory of `room` if it suffices. A later take() returns the result. Throws std::bad_alloc where
  /// it has not begun.
  void read(DiskStore& store, EntryKind kind, const Digest& key, RawBytes&& room = {}) {
    // Made now, so that the result needs no memory when it has come: somebody waits for it.
    const auto place = std::make_shared<Results>(1);
    place->front().first = key;
    const auto done = [inbox = shared_from_this(), place](ReadResult result) {
      place->front().second = std::move(result);
      const MutexLock lock(inbox->mutex_);
      inbox->results_.splice(inbox->results_.end(), *place);
    };
    store.get(kind, key, done, std::move(room));
  }

  /// Results since the last call.
  Results take() {
    const MutexLock lock(mutex_);
    return std::exchange(results_, {});
  }

 private:
  Mutex mutex_;
  Results results_ GUARDED_BY(mutex_);
};

}  // namespace pippin::engine
