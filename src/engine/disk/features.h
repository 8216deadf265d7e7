// Encoder outputs on disk: a picture that was encoded before the last restart runs no vision encoder either.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <set>
#include <utility>
#include <vector>

#include "engine/disk/inbox.h"
#include "engine/disk/store.h"
#include "models/model.h"

namespace pippin::engine {

using FeaturesPtr = std::shared_ptr<const models::MediaFeatures>;

/// A picture's features as bytes. They must be evaluated.
Entry entry_of(const models::MediaFeatures& features);
/// The features that entry_of gave; nullopt where the entry is no such.
std::optional<models::MediaFeatures> features_of(const Entry& entry);

/// Owned by the engine's thread: it makes MLX arrays. Nothing here waits for the disk. What there is no memory for is as if the disk
/// had not had it, or is not written.
class DiskFeatures {
 public:
  using Arrived = std::vector<std::pair<Digest, FeaturesPtr>>;

  /// max_bytes: features larger than this are of no use to the caller.
  DiskFeatures(std::shared_ptr<DiskStore> store, std::int64_t max_bytes)
      : store_(std::move(store)), max_bytes_(max_bytes) {}

  /// Begins to read a picture's features unless that is under way; false where there are none.
  bool fetch(const Digest& digest);
  /// What has come since the last call.
  Arrived take_arrived();

  /// Wants features to be written.
  void keep(const Digest& digest, FeaturesPtr features);
  /// Copies what is to be kept to the store, as far as it has room. Returns whether anything was.
  bool write_behind();

 private:
  void take(const Digest& digest, const Entry& entry, Arrived& arrived);

  std::shared_ptr<DiskStore> store_;
  std::int64_t max_bytes_;
  std::shared_ptr<DiskInbox> inbox_ = std::make_shared<DiskInbox>();
  std::set<Digest> coming_;
  std::set<Digest> useless_;  ///< read, but too large or not understood
  std::deque<std::pair<Digest, FeaturesPtr>> unwritten_;
};

}  // namespace pippin::engine
