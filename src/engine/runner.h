// Runs one step on the device: lays the batch out, encodes the pictures it needs, forward, sample.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <vector>

#include "engine/media_cache.h"
#include "engine/sampler.h"
#include "engine/scheduler.h"
#include "models/model.h"
#include "nn/kv_cache.h"

namespace pippin::engine {

struct RunnerOptions {
  int page_size = 16;
  int num_pages = 0;
  std::int64_t media_cache_bytes = 0;
  mx::Dtype kv_dtype = mx::float32;
  kernels::CpuBackendPtr cpu = {};  ///< the model's, where it has one
};

/// Owned, and every member called, by the engine's thread: the only one that calls MLX.
class Runner {
 public:
  /// Allocates the page pools.
  Runner(std::unique_ptr<models::Model> model, const RunnerOptions& options);

  /// Computes the batch's rows, writes their KV, and returns the next token of each chunk with `sample`, in order.
  /// An exception leaves the pools' content undefined: call reset().
  std::vector<std::int32_t> run(const Batch& batch);

  /// New, empty pools.
  void reset();

  const models::Model& model() const { return *model_; }
  std::int64_t encoder_runs() const { return encoder_runs_; }
  std::int64_t encoder_hits() const { return encoder_hits_; }

 private:
  models::StepInput lay_out(const Batch& batch);
  using Features = std::map<Digest, std::shared_ptr<const models::MediaFeatures>>;
  void add_media(const Chunk& chunk, int first_row, const Features& started,
                 std::vector<models::MediaRows>& media);
  std::shared_ptr<const models::MediaFeatures> features_of(const MediaItem& item);

  std::unique_ptr<models::Model> model_;
  RunnerOptions options_;
  nn::KVCache kv_;
  MediaCache media_cache_;
  Features in_flight_;  ///< of pictures whose last rows are still to come
  std::int64_t encoder_runs_ = 0;
  std::int64_t encoder_hits_ = 0;
};

}  // namespace pippin::engine
