#include "engine/cache/state_cache.h"

namespace pippin::engine {

StateCache::StateCache(int num_slots, int snapshot_tokens) : snapshot_tokens_(snapshot_tokens) {
  for (StateSlot slot = num_slots; slot-- > 0;) free_.push_back(slot);
}

std::optional<StateSlot> StateCache::acquire() {
  if (free_.empty()) {
    if (order_.empty()) return {};
    free_.push_back(order_.front().slot);
    snapshots_.erase(order_.front().key);
    order_.pop_front();
  }
  const StateSlot slot = free_.back();
  free_.pop_back();
  return slot;
}

std::optional<StateSlot> StateCache::find(const PageKey& key) {
  const auto it = snapshots_.find(key);
  if (it == snapshots_.end()) return {};
  order_.splice(order_.end(), order_, it->second);
  return it->second->slot;
}

void StateCache::insert(const PageKey& key, StateSlot slot) {
  if (contains(key))
    release(slot);
  else
    snapshots_.emplace(key, order_.insert(order_.end(), {key, slot}));
}

void StateCache::forget() {
  for (const auto& snapshot : order_) free_.push_back(snapshot.slot);
  order_.clear();
  snapshots_.clear();
}

}  // namespace pippin::engine
