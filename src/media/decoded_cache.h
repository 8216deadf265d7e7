// Decoded pictures and clips by their files' content: a chat sends them again with every turn, and decoding is most of
// what is left to do once they are encoded.
#pragma once

#include <cstdint>
#include <list>
#include <memory>
#include <span>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <variant>

#include "base/digest.h"
#include "base/mutex.h"
#include "pippin/pixels.h"
#include "pippin/video.h"

namespace pippin::media {

/// The name of a file's picture, and of its clip as it is sampled so (a GIF can be either).
Digest picture_key(std::span<const std::uint8_t> bytes);
Digest video_key(std::span<const std::uint8_t> bytes, const VideoSampling& sampling);

/// The name of the same for requests that share it only with others of the salt; `key` itself for an empty one.
Digest salted_key(const Digest& key, std::string_view salt);

/// Keeps the most recently used pictures and clips within a number of bytes of pixels; those in use outlive their
/// eviction. Thread-safe.
class DecodedCache {
 public:
  struct Stats {
    std::int64_t entries = 0, bytes = 0, limit = 0;
  };

  /// 0 keeps none.
  explicit DecodedCache(std::int64_t max_bytes) : max_bytes_(max_bytes) {}

  /// Null where it is not known.
  std::shared_ptr<const Pixels> picture(const Digest& key);
  std::shared_ptr<const Video> video(const Digest& key);

  /// Where these throw std::bad_alloc they have changed nothing.
  void keep(const Digest& key, std::shared_ptr<const Pixels> picture);
  void keep(const Digest& key, std::shared_ptr<const Video> video);

  /// Drops those that nobody uses, the least recently used first, until they had so many bytes.
  void drop_unused(std::int64_t bytes);
  void clear();

  Stats stats() const;

 private:
  using Content = std::variant<std::shared_ptr<const Pixels>, std::shared_ptr<const Video>>;
  struct Entry {
    Entry(const Digest& name, Content content, std::int64_t bytes)
        : key(name), content(std::move(content)), bytes(bytes) {}
    Digest key;
    Content content;
    std::int64_t bytes;
  };
  using Entries = std::list<Entry>;

  template <class T>
  std::shared_ptr<const T> find(const Digest& key);
  void insert(const Digest& key, Content content, std::int64_t bytes);
  /// Moves an entry to `dropped`, which is destroyed without the lock: whoever is told that memory is free may come back here.
  void drop(Entries::iterator entry, Entries& dropped) REQUIRES(mutex_);

  const std::int64_t max_bytes_;
  mutable Mutex mutex_;
  Entries entries_ GUARDED_BY(mutex_);  // most recently used first
  std::unordered_map<Digest, Entries::iterator, DigestHash> index_ GUARDED_BY(mutex_);
  std::int64_t num_bytes_ GUARDED_BY(mutex_) = 0;
};

}  // namespace pippin::media
