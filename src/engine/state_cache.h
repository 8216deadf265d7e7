// The states of recurrent layers (Mamba, gated delta ...): one slot for each running sequence, and snapshots at page
// boundaries. A state can't be cut back to fewer tokens as keys and values can, so a prefix is reused only up to a
// snapshot. Slot numbers only: whoever owns the tensors copies as the scheduler's batches say.
#pragma once

#include <cstddef>
#include <cstdint>
#include <list>
#include <optional>
#include <unordered_map>
#include <vector>

#include "engine/page_cache.h"

namespace pippin::engine {

using StateSlot = std::int32_t;

/// Owned by the engine's thread. A slot is free, a sequence's, or holds the snapshot after the prefix of one page key.
class StateCache {
 public:
  /// snapshot_tokens: distance of snapshots in a context, a multiple of the page size.
  StateCache(int num_slots, int snapshot_tokens);

  int snapshot_tokens() const { return snapshot_tokens_; }

  /// A slot for a sequence; takes the least recently used snapshot's where none is free. nullopt when sequences have all.
  std::optional<StateSlot> acquire();
  void release(StateSlot slot) { free_.push_back(slot); }

  /// The snapshot after the prefix that `key` stands for.
  std::optional<StateSlot> find(const PageKey& key);
  /// Whether find() would succeed, without making the snapshot more recently used.
  bool contains(const PageKey& key) const { return snapshots_.count(key) > 0; }
  /// The acquired slot now holds this snapshot; released where there is one already.
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
