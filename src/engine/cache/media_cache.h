// Encoder outputs by content: an image that was seen before is not encoded again, whatever file or URL it comes from.
#pragma once

#include <cstddef>
#include <cstdint>
#include <list>
#include <memory>
#include <unordered_map>

#include "base/digest.h"
#include "models/model.h"
#include "pippin/pixels.h"

namespace pippin::engine {

/// Owned by the engine's thread (it holds MLX arrays). Keeps the most recently used features within a number of bytes;
/// features in use outlive their eviction.
class MediaCache {
 public:
  explicit MediaCache(std::int64_t max_bytes) : max_bytes_(max_bytes) {}

  /// The features of an image, or null. key: digest of its pixels and of the processor's parameters.
  std::shared_ptr<const models::MediaFeatures> find(const Digest& key);
  /// Changes nothing where it throws std::bad_alloc.
  void insert(const Digest& key, std::shared_ptr<const models::MediaFeatures> features);

  /// Drops everything.
  void clear();

  std::int64_t max_bytes() const { return max_bytes_; }
  std::int64_t num_bytes() const { return num_bytes_; }
  std::size_t size() const { return entries_.size(); }
  /// Features evicted since the start.
  std::int64_t evictions() const { return evictions_; }

 private:
  struct Entry {
    Digest key;
    std::shared_ptr<const models::MediaFeatures> features;
  };

  void evict_oldest();

  std::int64_t max_bytes_;
  std::int64_t num_bytes_ = 0;
  std::int64_t evictions_ = 0;
  std::list<Entry> order_;  ///< most recently used first
  std::unordered_map<Digest, std::list<Entry>::iterator, DigestHash> entries_;
};

}  // namespace pippin::engine
