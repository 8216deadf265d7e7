// Runs one step on the device: lay the batch out, encode images, forward, sample.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "engine/cache/window_pages.h"
#include "engine/disk/pages.h"
#include "engine/run/encoder.h"
#include "engine/run/masks.h"
#include "engine/run/replay.h"
#include "engine/run/sampler.h"
#include "engine/schedule/scheduler.h"
#include "models/model.h"
#include "nn/model_state.h"
#include "nn/pages_ahead.h"

namespace pippin::engine {

struct RunnerOptions {
  int page_size = 16;
  int num_pages = 0;
  EncoderOptions encoder;
  nn::KvStorage kv = {};
  kernels::CpuBackendPtr cpu = {};  ///< the model's; null on GPUs
  std::shared_ptr<DiskStore> disk =
      {};                    ///< null: pages, states and encoder outputs are kept in memory alone
  int num_slots = 0;         ///< of recurrent states; 0 for a model without recurrent layers
  int num_window_pages = 0;  ///< 0: layers with a window have the pages of all others
};

/// A launched step and its results, which may not be computed yet.
struct LaunchedStep {
  std::vector<SampleRow> rows;     ///< without masks, which live in the constraints
  std::optional<Sampled> sampled;  ///< results of `rows`; absent without rows
  std::vector<mx::array>
      done;  ///< available once the step is done; empty if the step computed no row
  std::optional<int> request;  ///< of Replays for the tokens; sampled is absent then
  std::chrono::steady_clock::time_point encoded, laid_out;  ///< see StepRecord
};

/// The next token of each chunk with `sample`, in order.
struct StepTokens {
  std::vector<std::int32_t> ids;
  std::vector<TokenLogprobs> logprobs;  ///< null for a row that asks for none; empty if no row asks
};

/// Owned and used by the engine's thread, the only one that calls MLX.
class Runner {
 public:
  /// Allocates the page pools and the slots of recurrent states.
  Runner(std::unique_ptr<models::Model> model, const RunnerOptions& options);
  /// Waits for running steps.
  ~Runner();

  /// Copies pages and states, encodes some of the wanted images, then launches the forward pass, the KV writes and sampling. Steps run in the
  /// order of their launch; the previous step may still run. After an exception the pools' content is undefined: call reset() once
  /// no step is left to read.
  LaunchedStep launch(const Batch& batch);

  /// Waits for the step and returns the next token of each chunk with `sample`, in order. Exceptions as for launch().
  StepTokens read(const Batch& batch, const LaunchedStep& step);

  /// Allocates new, empty pools. Throws without memory for them, and may be called again.
  void reset();

  /// Drops encoded images that no sequence needs, and returns the memory of free pages to the system.
  void clear_caches(const std::vector<PageId>& free_pages,
                    const std::vector<PageId>& free_window_pages);

  /// Tells which window pages belong to which pages, for the disk store; where the model has such. They live longer than the runner's
  /// next steps.
  void use_windows(WindowPages& windows) { windows_ = &windows; }

  const models::Model& model() const { return *model_; }
  Encoder& encoder() { return encoder_; }
  /// Steps that were replayed (replay.h).
  std::int64_t replayed_steps() const { return replays_ ? replays_->count() : 0; }
  std::int64_t bytes_per_page() const {
    return static_cast<std::int64_t>(state_->pages().page_bytes());
  }
  std::int64_t bytes_per_window_page() const {
    return static_cast<std::int64_t>(state_->window_pages().page_bytes());
  }
  std::int64_t bytes_per_slot() const {
    return static_cast<std::int64_t>(state_->slots().page_bytes());
  }
  /// Null without a disk store.
  ColdPages* cold_pages() { return disk_pages_ ? &*disk_pages_ : nullptr; }
  /// Null without a disk store and without recurrent layers.
  ColdPages* cold_states() { return disk_states_ ? &*disk_states_ : nullptr; }

  /// Copies published pages, snapshots and encoder outputs to the disk store until `end`, or until its queue is full. Returns whether more could
  /// be copied at once.
  bool write_behind(const PageCache& pages, const StateCache& states,
                    std::chrono::steady_clock::time_point end);

 private:
  void make_state();
  void restore_states(const Batch& batch);
  PageBytes bytes_of(nn::PagePools& (nn::ModelState::*pools)());
  PageBytes bytes_of_pages();
  void read_window(PageId page, std::span<std::uint8_t> out);
  void write_window(PageId page, std::span<const std::uint8_t> bytes);
  void take_memory_ahead();
  void take_memory_for(std::int64_t num_pages);
  void compute(const Batch& batch, LaunchedStep& step);
  bool replay(const Batch& batch, StepMasks& masks, LaunchedStep& step);
  void sample_step(const mx::array& logits, StepMasks& masks, LaunchedStep& step,
                   std::vector<mx::array> results);
  models::StepInput lay_out(const Batch& batch);
  mx::array token_array(const std::vector<std::int32_t>& tokens,
                        const std::vector<std::int32_t>& device_token_indices) const;
  void add_media(const Chunk& chunk, int first_row, std::vector<models::MediaRows>& media);

  std::unique_ptr<models::Model> model_;
  RunnerOptions options_;
  std::optional<nn::ModelState> state_;  ///< absent only while it is made anew
  std::optional<nn::PagesAhead>
      ahead_;  ///< present if the pools are plain memory, which it refers to
  Encoder encoder_;
  std::optional<DiskPages> disk_pages_, disk_states_;
  WindowPages* windows_ = nullptr;  ///< null where no layer's pages are apart
  MaskThreads mask_threads_;
  std::unique_ptr<Replays> replays_;  ///< null where steps can't be replayed
  std::optional<mx::array> sampled_;  ///< int32: the tokens that the last launched step samples
};

}  // namespace pippin::engine
