// The states of recurrent layers (short convolutions, gated delta, Mamba ...): one slot a running sequence, and snapshots. Unlike
// KV, a state cannot be cut back to fewer tokens, so a prefix is reused only up to a snapshot. Slot numbers only: the owner of the
// tensors copies as the scheduler's batches say.
//
// A snapshot is immutable and belongs to a prefix: its key is the key of the page, full or not, that ends with the prefix.
// Eviction is GreedyDual, as the pages' (page_cache.h): the clock at the last use plus the cost of recomputing the state from the
// snapshot before.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <set>
#include <tuple>
#include <unordered_map>
#include <vector>

#include "engine/cache/page_cache.h"

namespace pippin::engine {

using StateSlot = std::int32_t;

/// Owned by the engine's thread. A slot is free, a sequence's, about to become a snapshot, or holds the snapshot of one key.
class StateCache {
 public:
  /// snapshot_tokens: distance between snapshots in a context, a multiple of the page size.
  StateCache(int num_slots, int snapshot_tokens);

  int num_slots() const { return num_slots_; }
  int snapshot_tokens() const { return snapshot_tokens_; }

  /// Returns a slot, evicting a snapshot if none is free; nullopt if no slot holds a snapshot.
  std::optional<StateSlot> acquire();
  void release(StateSlot slot) { free_.push_back(slot); }

  /// The snapshot of the prefix that `key` stands for, which counts as used.
  std::optional<StateSlot> find(const PageKey& key);
  /// The same, without counting as used.
  std::optional<StateSlot> peek(const PageKey& key) const;
  bool contains(const PageKey& key) const { return snapshots_.count(key) > 0; }
  /// Makes the acquired slot this snapshot. Releases the slot if the snapshot exists already. cost: tokens to recompute.
  void insert(const PageKey& key, StateSlot slot, double cost);
  /// Forgets all snapshots.
  void forget();
  /// See PageCache::reset.
  void reset() noexcept;

  std::size_t num_free() const { return free_.size(); }
  std::size_t num_snapshots() const { return snapshots_.size(); }
  std::int64_t num_evicted() const { return num_evicted_; }

 private:
  struct Snapshot {
    StateSlot slot;
    double cost, priority;
    std::uint64_t used_at;  ///< number of the use: breaks ties, the oldest goes first
  };
  using Place = std::tuple<double, std::uint64_t, PageKey>;

  static Place place_of(const PageKey& key, const Snapshot& snapshot) {
    return {snapshot.priority, snapshot.used_at, key};
  }

  int num_slots_;
  int snapshot_tokens_;
  std::vector<StateSlot> free_;
  double clock_ = 0;
  std::uint64_t num_uses_ = 0;
  std::int64_t num_evicted_ = 0;
  std::unordered_map<PageKey, Snapshot, DigestHash> snapshots_;
  std::set<Place> order_;  ///< the next to go first
};

}  // namespace pippin::engine
