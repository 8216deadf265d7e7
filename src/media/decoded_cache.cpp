#include "media/clip_cache.h"

#include <algorithm>
#include <bit>
#include <utility>

#include "base/digest.h"

namespace pippin::media {
namespace {

Digest key_of(std::span<const std::uint8_t> bytes, const VideoSampling& sampling) {
  Hasher hasher;
  hasher.update_value(std::bit_cast<std::int64_t>(sampling.fps));
  for (const int number : {sampling.min_frames, sampling.max_frames, sampling.num_frames})
    hasher.update_value(number);
  hasher.update(bytes);
  return hasher.finish();
}

std::int64_t bytes_of(const Video& video) {
  return static_cast<std::int64_t>(video.frames.size() * video.frames[0].rgb.size());
}

}  // namespace

std::shared_ptr<const Video> ClipCache::decode(std::span<const std::uint8_t> bytes,
                                               const VideoSampling& sampling,
                                               const VideoLimits& limits) {
  const Digest key = key_of(bytes, sampling);
  auto video = find(key);
  // One over this request's limits is left to decode_video, which says so.
  if (video && bytes_of(*video) <= limits.max_pixels * 3) return video;
  video = std::make_shared<const Video>(decode_video(bytes, sampling, limits));
  insert(key, video);
  return video;
}

void ClipCache::clear() {
  const std::lock_guard lock(mutex_);
  entries_.clear();
  num_bytes_ = 0;
}

std::shared_ptr<const Video> ClipCache::find(const Digest& key) {
  const std::lock_guard lock(mutex_);
  const auto it = std::find_if(entries_.begin(), entries_.end(),
                               [&](const Entry& entry) { return entry.key == key; });
  if (it == entries_.end()) return nullptr;
  entries_.splice(entries_.begin(), entries_, it);
  return it->video;
}

void ClipCache::insert(const Digest& key, std::shared_ptr<const Video> video) {
  const std::lock_guard lock(mutex_);
  const std::int64_t bytes = bytes_of(*video);
  const bool known = std::any_of(entries_.begin(), entries_.end(),
                                 [&](const Entry& entry) { return entry.key == key; });
  if (known || bytes > max_bytes_) return;
  for (num_bytes_ += bytes; num_bytes_ > max_bytes_; entries_.pop_back())
    num_bytes_ -= bytes_of(*entries_.back().video);
  entries_.push_front({key, std::move(video)});
}

}  // namespace pippin::media
