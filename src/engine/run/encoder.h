// Runs the vision tower for images that prompts wait for, a part of it in every step.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <vector>

#include "engine/cache/media_cache.h"
#include "engine/disk/features.h"
#include "engine/schedule/scheduler.h"
#include "models/model.h"

namespace pippin::engine {

struct EncoderOptions {
  std::int64_t cache_bytes = 0;  ///< limit on kept outputs
  /// Limit on the text-model rows of images that are encoded together, which bounds the tower's working memory. A single image may
  /// exceed it.
  std::int64_t max_rows = 4096;
  /// The tower's share of a step. Past it the tower waits for the next step, so that decode rows are not delayed.
  std::chrono::milliseconds step{100};
};

/// Owned and used by the engine's thread. Equal images of several sequences are encoded once. All of them get the output, even if the
/// cache has no room for it.
class Encoder final : public MediaSource {
 public:
  /// The model must outlive the encoder. disk: null without a disk cache.
  Encoder(const models::Model& model, const EncoderOptions& options,
          const std::shared_ptr<DiskStore>& disk);

  bool look_up(MediaItem& item) override;

  /// Copies outputs to the disk store while its queue has room. Returns whether any was copied.
  bool write_behind() { return disk_ && disk_->write_behind(); }

  /// Encodes for one step's share, or until every image of `wanted` is done. Sets the features or the failure of finished images.
  /// Drops work on images that are no longer wanted.
  void run(std::span<MediaItem* const> wanted);

  /// Images encoded and images found in the cache since the start.
  std::int64_t num_runs() const { return num_runs_; }
  std::int64_t num_hits() const { return num_hits_; }
  const MediaCache& cache() const { return cache_; }
  /// Drops all outputs that no sequence holds.
  void clear_cache() { cache_.clear(); }

 private:
  struct Job {
    std::vector<Digest> digests;
    std::vector<std::shared_ptr<const LazyPatches>> patches;
    std::unique_ptr<models::Encoding> encoding;
  };

  void start_job(std::span<MediaItem* const> wanted);
  bool is_wanted(const Job& job, std::span<MediaItem* const> wanted) const;
  void advance(std::span<MediaItem* const> wanted);
  void finish(std::span<MediaItem* const> wanted);
  void fail(std::span<MediaItem* const> wanted, const std::string& why);

  const models::Model& model_;
  EncoderOptions options_;
  MediaCache cache_;
  std::optional<DiskFeatures> disk_;
  std::unique_ptr<Job> job_;
  std::set<Digest>
      suspects_;  ///< images of a failed batch: encoded alone now, to find the one that fails
  std::int64_t num_runs_ = 0;
  std::int64_t num_hits_ = 0;
};

}  // namespace pippin::engine
