// Decoded clips by their files' content: a chat sends its clip again with every turn, and decoding it is
// most of what is left to do once its frames are encoded.
#pragma once

#include <cstdint>
#include <list>
#include <memory>
#include <mutex>
#include <span>

#include "pippin/video.h"

namespace pippin::media {

/// Keeps the most recently used clips within a number of bytes of pixels; clips in use outlive their
/// eviction. Thread-safe; two threads that want one new clip at once both decode it.
class ClipCache {
 public:
  /// 0 keeps none.
  explicit ClipCache(std::int64_t max_bytes) : max_bytes_(max_bytes) {}

  /// As decode_video, which is called where the clip is not known.
  std::shared_ptr<const Video> decode(std::span<const std::uint8_t> bytes,
                                      const VideoSampling& sampling, const VideoLimits& limits);

  void clear();

 private:
  struct Entry {
    Digest key;
    std::shared_ptr<const Video> video;
  };

  std::shared_ptr<const Video> find(const Digest& key);
  void insert(const Digest& key, std::shared_ptr<const Video> video);

  const std::int64_t max_bytes_;
  std::mutex mutex_;
  std::list<Entry> entries_;    // guarded; most recently used first, and few
  std::int64_t num_bytes_ = 0;  // guarded
};

}  // namespace pippin::media
