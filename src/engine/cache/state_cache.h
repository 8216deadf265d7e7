// A seam that is not wired yet: the states of recurrent layers (Mamba, gated delta ...), one slot a running sequence, and snapshots
// at page boundaries. Unlike KV, a state cannot be cut back to fewer tokens, so a prefix is reused only up to a snapshot. Slot
// numbers only: the owner of the tensors copies as the scheduler's batches say.
#pragma once

#include <cstddef>
#include <cstdint>
#include <list>
#include <optional>
#include <unordered_map>
#include <vector>

#include "engine/cache/page_cache.h"

namespace pippin::engine {

using StateSlot = std::int32_t;

/// Owned by the engine's thread. A slot is free, a sequence's, or holds the snapshot after the prefix of one page key.
class StateCache {
 public:
  /// snapshot_tokens: distance between snapshots in a context, a multiple of the page size.
  StateCache(int num_slots, int snapshot_tokens);

  int snapshot_tokens() const { return snapshot_tokens_; }

  /// Returns a slot for a sequence, evicting the least recently used snapshot if none is free; nullopt if sequences use all slots.
  std::optional<StateSlot> acquire();
  void release(StateSlot slot) { free_.push_back(slot); }

  /// The snapshot after the prefix that `key` stands for.
  std::optional<StateSlot> find(const PageKey& key);
  /// Whether find() would succeed, without making the snapshot more recently used.
  bool contains(const PageKey& key) const { return snapshots_.count(key) > 0; }
  /// Makes the acquired slot this snapshot. Releases the slot if the snapshot exists already.
  void insert(const PageKey& key, StateSlot slot);
  /// Forgets all snapshots.
  void forget();

  std::size_t num_snapshots() const { return snapshots_.size(); }

 private:
  struct Snapshot {
    PageKey key;
    StateSlot slot;
  };
  int snapshot_tokens_;
  std::vector<StateSlot> free_;
  std::list<Snapshot> order_;  ///< least recently used first
  std::unordered_map<PageKey, std::list<Snapshot>::iterator, DigestHash> snapshots_;
};

}  // namespace pippin::engine
