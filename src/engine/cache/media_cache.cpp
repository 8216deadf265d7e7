#include "engine/cache/media_cache.h"

#include <utility>

namespace pippin::engine {

std::shared_ptr<const models::MediaFeatures> MediaCache::find(const Digest& key) {
  const auto it = entries_.find(key);
  if (it == entries_.end()) return nullptr;
  order_.splice(order_.begin(), order_, it->second);
  return it->second->features;
}

void MediaCache::insert(const Digest& key, std::shared_ptr<const models::MediaFeatures> features) {
  const auto bytes = static_cast<std::int64_t>(features->num_bytes());
  if (bytes > max_bytes_ || entries_.count(key)) return;
  // Before anything changes: both take memory.
  std::list<Entry> added(1);
  added.front() = {key, std::move(features)};
  entries_.emplace(key, added.begin());
  while (num_bytes_ + bytes > max_bytes_) evict_oldest();
  order_.splice(order_.begin(), added);
  num_bytes_ += bytes;
}

void MediaCache::clear() {
  entries_.clear();
  order_.clear();
  num_bytes_ = 0;
}

void MediaCache::evict_oldest() {
  ++evictions_;
  num_bytes_ -= static_cast<std::int64_t>(order_.back().features->num_bytes());
  entries_.erase(order_.back().key);
  order_.pop_back();
}

}  // namespace pippin::engine
