#include "engine/cache/state_cache.h"

namespace pippin::engine {

StateCache::StateCache(int num_slots, int snapshot_tokens)
    : num_slots_(num_slots), snapshot_tokens_(snapshot_tokens) {
  free_.reserve(static_cast<std::size_t>(num_slots));
  reset();
}

void StateCache::reset() noexcept {
  snapshots_.clear();
  order_.clear();
  free_.clear();
  for (StateSlot slot = num_slots_; slot-- > 0;) free_.push_back(slot);
}

std::optional<StateSlot> StateCache::acquire() {
  if (free_.empty()) {
    if (order_.empty()) return {};
    const auto [priority, used_at, key] = *order_.begin();
    clock_ = priority;
    ++num_evicted_;
    free_.push_back(snapshots_.at(key).slot);
    snapshots_.erase(key);
    order_.erase(order_.begin());
  }
  const StateSlot slot = free_.back();
  free_.pop_back();
  return slot;
}

std::optional<StateSlot> StateCache::find(const PageKey& key) {
  const auto it = snapshots_.find(key);
  if (it == snapshots_.end()) return {};
  auto& snapshot = it->second;
  order_.erase(place_of(key, snapshot));
  snapshot.priority = clock_ + snapshot.cost;
  snapshot.used_at = ++num_uses_;
  order_.insert(place_of(key, snapshot));
  return snapshot.slot;
}

std::optional<StateSlot> StateCache::peek(const PageKey& key) const {
  const auto it = snapshots_.find(key);
  if (it == snapshots_.end()) return {};
  return it->second.slot;
}

void StateCache::insert(const PageKey& key, StateSlot slot, double cost) {
  const Snapshot snapshot{slot, cost, clock_ + cost, ++num_uses_};
  if (snapshots_.emplace(key, snapshot).second)
    order_.insert(place_of(key, snapshot));
  else
    release(slot);
}

void StateCache::forget() {
  for (const auto& [key, snapshot] : snapshots_) release(snapshot.slot);
  snapshots_.clear();
  order_.clear();
}

}  // namespace pippin::engine
