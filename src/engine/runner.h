// Runs one step on the device: lays the batch out, encodes the pictures it needs, forward, sample.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "engine/disk_pages.h"
#include "engine/encoder.h"
#include "engine/masks.h"
#include "engine/sampler.h"
#include "engine/scheduler.h"
#include "models/model.h"
#include "nn/kv_cache.h"
#include "nn/pages_ahead.h"

namespace pippin::engine {

struct RunnerOptions {
  int page_size = 16;
  int num_pages = 0;
  EncoderOptions encoder;
  nn::KvStorage kv = {};
  kernels::CpuBackendPtr cpu = {};  ///< the model's, where it has one
  std::shared_ptr<DiskStore> disk =
      {};  ///< null: pages and encoder outputs are kept in memory alone
};

/// When the stages of a step ended; see StepRecord.
struct RunTimes {
  std::chrono::steady_clock::time_point encoded, laid_out, computed;
};

/// The next token of each chunk with `sample`, in order.
struct StepTokens {
  std::vector<std::int32_t> ids;
  std::vector<TokenLogprobs> logprobs;  ///< of each, null where not asked for; empty where none was
};

/// Owned, and every member called, by the engine's thread: the only one that calls MLX.
class Runner {
 public:
  /// Allocates the page pools.
  Runner(std::unique_ptr<models::Model> model, const RunnerOptions& options);

  /// Copies pages, encodes some of the pictures that are wanted, computes the batch's rows, writes their KV, and returns
  /// the next token of each chunk with `sample`, in order.
  /// An exception leaves the pools' content undefined: call reset().
  StepTokens run(const Batch& batch);

  /// New, empty pools.
  void reset();

  /// Drops the encoded pictures (but for those of which a sequence still waits for rows) and the memory of `free_pages`.
  void clear_caches(const std::vector<PageId>& free_pages);

  const models::Model& model() const { return *model_; }
  Encoder& encoder() { return encoder_; }
  std::int64_t bytes_per_page() const { return static_cast<std::int64_t>(kv_.page_bytes()); }
  /// Null without a disk store.
  ColdPages* cold_pages() { return disk_pages_ ? &*disk_pages_ : nullptr; }

  /// Copies some published pages and encoder outputs to the disk store, until `end` or until it has no room. Returns whether there may
  /// be more to do at once.
  bool write_behind(const PageCache& pages, std::chrono::steady_clock::time_point end);

  /// Of the last run.
  const RunTimes& times() const { return times_; }

 private:
  PageBytes page_bytes();
  void take_memory_ahead();
  void take_memory_for(std::int64_t num_pages);
  StepTokens compute(const models::StepInput& input, const Batch& batch);
  models::StepInput lay_out(const Batch& batch);
  void add_media(const Chunk& chunk, int first_row, std::vector<models::MediaRows>& media);

  std::unique_ptr<models::Model> model_;
  RunnerOptions options_;
  nn::KVCache kv_;
  std::optional<nn::PagesAhead> ahead_;  ///< where the pools are plain memory; refers to them
  Encoder encoder_;
  std::optional<DiskPages> disk_pages_;
  MaskThreads mask_threads_;
  RunTimes times_;
};

}  // namespace pippin::engine
