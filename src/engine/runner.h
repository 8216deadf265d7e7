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

/// A step under way: what is to be read of it.
struct LaunchedStep {
  std::vector<SampleRow> rows;     ///< without masks
  std::optional<Sampled> sampled;  ///< of these; absent where there are none
  std::optional<mx::array>
      done;  ///< available once the step is done; absent where it computed no row
  std::chrono::steady_clock::time_point encoded, laid_out;  ///< see StepRecord
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
  /// Waits for what is under way.
  ~Runner();

  /// Copies pages, encodes some of the pictures that are wanted, and launches the rest: computing the batch's rows, writing their
  /// KV, and sampling. Steps run in the order in which they were launched; the one before may still be under way.
  /// An exception leaves the pools' content undefined: call reset() once nothing is to be read any more.
  LaunchedStep launch(const Batch& batch);

  /// Waits for the step: the next token of each chunk with `sample`, in order. An exception as above.
  StepTokens read(const Batch& batch, const LaunchedStep& step);

  /// New, empty pools. Throws where there is no memory for them, and may be called again.
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

 private:
  PageBytes page_bytes();
  void take_memory_ahead();
  void take_memory_for(std::int64_t num_pages);
  void compute(const models::StepInput& input, const Batch& batch, LaunchedStep& step);
  bool by_gpu_kernels() const;
  models::StepInput lay_out(const Batch& batch);
  mx::array token_array(const std::vector<std::int32_t>& tokens,
                        const std::vector<std::int32_t>& unread_rows) const;
  void add_media(const Chunk& chunk, int first_row, std::vector<models::MediaRows>& media);

  std::unique_ptr<models::Model> model_;
  RunnerOptions options_;
  nn::KVCache kv_;
  std::optional<nn::PagesAhead> ahead_;  ///< where the pools are plain memory; refers to them
  Encoder encoder_;
  std::optional<DiskPages> disk_pages_;
  MaskThreads mask_threads_;
  std::optional<mx::array> sampled_;  ///< int32: the tokens that the last launched step samples
};

}  // namespace pippin::engine
