#include "media/decoded_cache.h"

#include <bit>
#include <utility>

namespace pippin::media {
namespace {

enum class Kind : std::int64_t { picture, video };

std::int64_t bytes_of(const Pixels& picture) {
  return static_cast<std::int64_t>(picture.rgb.size());
}

std::int64_t bytes_of(const Video& video) {
  return static_cast<std::int64_t>(video.frames.size()) * bytes_of(video.frames[0]);
}

}  // namespace

Digest picture_key(std::span<const std::uint8_t> bytes) {
  Hasher hasher;
  hasher.update_value(static_cast<std::int64_t>(Kind::picture));
  hasher.update(bytes);
  return hasher.finish();
}

Digest video_key(std::span<const std::uint8_t> bytes, const VideoSampling& sampling) {
  Hasher hasher;
  hasher.update_value(static_cast<std::int64_t>(Kind::video));
  hasher.update_value(std::bit_cast<std::int64_t>(sampling.fps));
  for (const int number : {sampling.min_frames, sampling.max_frames, sampling.num_frames})
    hasher.update_value(number);
  hasher.update(bytes);
  return hasher.finish();
}

Digest salted_key(const Digest& key, std::string_view salt) {
  if (salt.empty()) return key;
  Hasher hasher;
  hasher.update(key);
  hasher.update({reinterpret_cast<const std::uint8_t*>(salt.data()), salt.size()});
  return hasher.finish();
}

std::shared_ptr<const Pixels> DecodedCache::picture(const Digest& key) { return find<Pixels>(key); }
std::shared_ptr<const Video> DecodedCache::video(const Digest& key) { return find<Video>(key); }

void DecodedCache::keep(const Digest& key, std::shared_ptr<const Pixels> picture) {
  const std::int64_t bytes = bytes_of(*picture);
  insert(key, std::move(picture), bytes);
}

void DecodedCache::keep(const Digest& key, std::shared_ptr<const Video> video) {
  const std::int64_t bytes = bytes_of(*video);
  insert(key, std::move(video), bytes);
}

void DecodedCache::clear() {
  Entries dropped;
  const MutexLock lock(mutex_);
  index_.clear();
  dropped.swap(entries_);
  num_bytes_ = 0;
}

void DecodedCache::drop_unused(std::int64_t bytes) {
  Entries dropped;
  const MutexLock lock(mutex_);
  for (auto next = entries_.end(); next != entries_.begin() && bytes > 0;) {
    const auto entry = std::prev(next);
    const bool unused =
        std::visit([](const auto& content) { return content.use_count() == 1; }, entry->content);
    if (!unused) {
      next = entry;
      continue;
    }
    bytes -= entry->bytes;
    drop(entry, dropped);
  }
}

DecodedCache::Stats DecodedCache::stats() const {
  const MutexLock lock(mutex_);
  return {static_cast<std::int64_t>(entries_.size()), num_bytes_, max_bytes_};
}

template <class T>
std::shared_ptr<const T> DecodedCache::find(const Digest& key) {
  const MutexLock lock(mutex_);
  const auto known = index_.find(key);
  if (known == index_.end()) return nullptr;
  entries_.splice(entries_.begin(), entries_, known->second);
  return std::get<std::shared_ptr<const T>>(known->second->content);
}

void DecodedCache::insert(const Digest& key, Content content, std::int64_t bytes) {
  Entries added, dropped;
  const MutexLock lock(mutex_);
  if (index_.contains(key) || bytes > max_bytes_) return;
  // Before anything changes: both take memory.
  const Entry& entry = added.emplace_front(key, std::move(content), bytes);
  index_.emplace(key, added.begin());
  while (num_bytes_ + entry.bytes > max_bytes_) drop(std::prev(entries_.end()), dropped);
  entries_.splice(entries_.begin(), added);
  num_bytes_ += entry.bytes;
}

void DecodedCache::drop(Entries::iterator entry, Entries& dropped) {
  num_bytes_ -= entry->bytes;
  index_.erase(entry->key);
  dropped.splice(dropped.end(), entries_, entry);
}

}  // namespace pippin::media
