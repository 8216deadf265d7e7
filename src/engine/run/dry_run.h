// How much memory a step takes beside weights and pages: measured, not guessed.
#pragma once

#include <cstdint>

#include "media/image_processor.h"
#include "models/model.h"
#include "nn/model_state.h"

namespace pippin::engine {

struct DryRun {
  int page_size = 16;
  int rows = 512;           ///< tokens of the largest step
  int logit_rows = 64;      ///< of these, the ones that are sampled from at most
  int picture_rows = 4096;  ///< of the text model, that pictures encoded together make
  /// Run this many rows and scale up, since all that grows does so with the rows; 0: run all.
  int measured_rows = 16;
  nn::KvStorage kv = {};
  kernels::CpuBackendPtr cpu = {};
  const media::ImageProcessorConfig* pictures = nullptr;  ///< null for a model that takes none
};

/// Bytes that MLX's allocator holds at most during a step of the text model and one of the vision tower, together, beside
/// what it held before. On the engine's thread.
std::int64_t measure_activations(const models::Model& model, const DryRun& run);

}  // namespace pippin::engine
