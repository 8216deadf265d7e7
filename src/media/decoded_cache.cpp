#include "media/decoded_cache.h"

#include <bit>
#include <utility>

namespace pippin::media {
namespace {

enum class Kind : std::int64_t { picture, video };  // a GIF can be either

Digest key_of(std::span<const std::uint8_t> bytes) {
  Hasher hasher;
  hasher.update_value(static_cast<std::int64_t>(Kind::picture));
  hasher.update(bytes);
  return hasher.finish();
}

Digest key_of(std::span<const std::uint8_t> bytes, const VideoSampling& sampling) {
  Hasher hasher;
  hasher.update_value(static_cast<std::int64_t>(Kind::video));
  hasher.update_value(std::bit_cast<std::int64_t>(sampling.fps));
  for (const int number : {sampling.min_frames, sampling.max_frames, sampling.num_frames})
    hasher.update_value(number);
  hasher.update(bytes);
  return hasher.finish();
}

std::int64_t bytes_of(const Pixels& picture) {
  return static_cast<std::int64_t>(picture.rgb.size());
}

std::int64_t bytes_of(const Video& video) {
  return static_cast<std::int64_t>(video.frames.size()) * bytes_of(video.frames[0]);
}

}  // namespace

std::shared_ptr<const Pixels> DecodedCache::picture(std::span<const std::uint8_t> bytes,
                                                    const ImageLimits& limits) {
  const Digest key = key_of(bytes);
  auto picture = find<Pixels>(key, limits.max_pixels);
  if (picture && std::ssize(bytes) <= limits.max_bytes) return picture;
  picture = std::make_shared<const Pixels>(decode_image(bytes, limits));
  insert(key, picture, bytes_of(*picture));
  return picture;
}

std::shared_ptr<const Video> DecodedCache::video(std::span<const std::uint8_t> bytes,
                                                 const VideoSampling& sampling,
                                                 const VideoLimits& limits) {
  const Digest key = key_of(bytes, sampling);
  auto video = find<Video>(key, limits.max_pixels);
  if (video) return video;
  video = std::make_shared<const Video>(decode_video(bytes, sampling, limits));
  insert(key, video, bytes_of(*video));
  return video;
}

void DecodedCache::clear() {
  const std::lock_guard lock(mutex_);
  index_.clear();
  entries_.clear();
  num_bytes_ = 0;
}

template <class T>
std::shared_ptr<const T> DecodedCache::find(const Digest& key, std::int64_t max_pixels) {
  const std::lock_guard lock(mutex_);
  const auto known = index_.find(key);
  if (known == index_.end() || known->second->bytes > max_pixels * 3) return nullptr;
  entries_.splice(entries_.begin(), entries_, known->second);
  return std::get<std::shared_ptr<const T>>(known->second->content);
}

void DecodedCache::insert(const Digest& key, Content content, std::int64_t bytes) {
  const std::lock_guard lock(mutex_);
  if (index_.contains(key) || bytes > max_bytes_) return;
  for (num_bytes_ += bytes; num_bytes_ > max_bytes_; entries_.pop_back()) {
    num_bytes_ -= entries_.back().bytes;
    index_.erase(entries_.back().key);
  }
  entries_.push_front({key, std::move(content), bytes});
  index_[key] = entries_.begin();
}

}  // namespace pippin::media
