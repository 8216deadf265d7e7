// Passes results of disk reads from the disk store's threads to the engine's thread.
#pragma once

#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include "engine/disk/store.h"

namespace pippin::engine {

/// Thread-safe. Running reads share ownership, since they may outlive the reader that began them.
class DiskInbox : public std::enable_shared_from_this<DiskInbox> {
 public:
  using Results = std::vector<std::pair<Digest, ReadResult>>;

  /// Begins to read an entry, into the memory of `room` if it suffices. A later take() returns the result.
  void read(DiskStore& store, EntryKind kind, const Digest& key, RawBytes&& room = {}) {
    const auto done = [inbox = shared_from_this(), key](ReadResult result) {
      std::lock_guard lock(inbox->mutex_);
      inbox->results_.emplace_back(key, std::move(result));
    };
    store.get(kind, key, done, std::move(room));
  }

  /// Results since the last call.
  Results take() {
    std::lock_guard lock(mutex_);
    return std::exchange(results_, {});
  }

 private:
  std::mutex mutex_;
  Results results_;  // guarded by mutex_
};

}  // namespace pippin::engine
