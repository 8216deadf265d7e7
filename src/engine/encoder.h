// Runs the vision tower for the pictures that prompts wait for, a little in every step.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <vector>

#include "engine/disk_features.h"
#include "engine/media_cache.h"
#include "engine/scheduler.h"
#include "models/model.h"

namespace pippin::engine {

struct EncoderOptions {
  std::int64_t cache_bytes = 0;  ///< of outputs that are kept
  /// Rows of the text model that pictures encoded together make at most (one alone may make more): bounds the tower's
  /// working memory.
  std::int64_t max_rows = 4096;
  /// A step's share: past it the tower waits for the next step, so that decode rows are not held up.
  std::chrono::milliseconds step{100};
};

/// Owned, and every member called, by the engine's thread. Equal pictures that several sequences want are encoded once; what
/// has been encoded is handed to all of them, whether or not the cache has room for it.
class Encoder final : public MediaSource {
 public:
  /// The model must outlive it. disk: null where outputs are kept in memory alone.
  Encoder(const models::Model& model, const EncoderOptions& options,
          const std::shared_ptr<DiskStore>& disk);

  bool look_up(MediaItem& item) override;

  /// Copies outputs to the disk store, as far as it has room; returns whether any was.
  bool write_behind() { return disk_ && disk_->write_behind(); }

  /// Goes on for one step's share, or until no picture of `wanted` is left; sets features (or why there will be none) of
  /// those that are done. Work on a picture that is no longer wanted is dropped.
  void run(std::span<MediaItem* const> wanted);

  /// Pictures encoded, and found in the cache, since the start.
  std::int64_t num_runs() const { return num_runs_; }
  std::int64_t num_hits() const { return num_hits_; }
  const MediaCache& cache() const { return cache_; }
  /// Forgets all outputs that no sequence holds.
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
      suspects_;  ///< failed together with others: encoded alone now, to know which one it was
  std::int64_t num_runs_ = 0;
  std::int64_t num_hits_ = 0;
};

}  // namespace pippin::engine
