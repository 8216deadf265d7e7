// Decoded pictures and clips by their files' content: a chat sends them again with every turn, and decoding is most of
// what is left to do once they are encoded.
#pragma once

#include <cstdint>
#include <list>
#include <memory>
#include <mutex>
#include <span>
#include <unordered_map>
#include <variant>

#include "base/digest.h"
#include "pippin/pixels.h"
#include "pippin/video.h"

namespace pippin::media {

/// Keeps the most recently used pictures and clips within a number of bytes of pixels; those in use outlive their
/// eviction. Thread-safe; two threads that want one new file at once both decode it.
class DecodedCache {
 public:
  /// 0 keeps none.
  explicit DecodedCache(std::int64_t max_bytes) : max_bytes_(max_bytes) {}

  /// As decode_image, which is called where the file is not known.
  std::shared_ptr<const Pixels> picture(std::span<const std::uint8_t> bytes,
                                        const ImageLimits& limits);

  /// As decode_video, which is called where the file is not known as sampled so.
  std::shared_ptr<const Video> video(std::span<const std::uint8_t> bytes,
                                     const VideoSampling& sampling, const VideoLimits& limits);

  void clear();

 private:
  using Content = std::variant<std::shared_ptr<const Pixels>, std::shared_ptr<const Video>>;
  struct Entry {
    Digest key;
    Content content;
    std::int64_t bytes;
  };

  /// Null where it is not known, or has more than max_pixels: that is left to the decoder, which says so.
  template <class T>
  std::shared_ptr<const T> find(const Digest& key, std::int64_t max_pixels);
  void insert(const Digest& key, Content content, std::int64_t bytes);

  const std::int64_t max_bytes_;
  std::mutex mutex_;
  std::list<Entry> entries_;  // guarded; most recently used first
  std::unordered_map<Digest, std::list<Entry>::iterator, DigestHash> index_;  // guarded
  std::int64_t num_bytes_ = 0;                                                // guarded
};

}  // namespace pippin::media
