// Timing a loaded engine without its text side.
#pragma once

#include <map>
#include <memory>
#include <string>

#include "pippin/engine.h"

namespace pippin::engine {

/// Seconds by kind of operation.
using OperationTimes = std::map<std::string, double>;

/// What a benchmark measured: one batch, prefilled and decoded.
struct BenchResult {
  double prefill_s = 0;  ///< from submitting until every sequence has its first token
  double decode_s = 0;   ///< from then until the last token
  /// The part of these times that was spent in the CPU's kernels; empty where not asked for, and on GPUs.
  OperationTimes prefill_operations, decode_operations;
};

/// That take the most likely token each time.
inline SamplingOptions greedy_sampling() {
  SamplingOptions sampling;
  sampling.temperature = 0;
  return sampling;
}

/// Times `batch` sequences of `prompt_tokens` pseudo-random ids each, generating `new_tokens`, all at once. `profile` fills
/// the operations' times. The engine must be one that Engine::load gave.
BenchResult bench(Engine& engine, int batch, int prompt_tokens, int new_tokens,
                  bool profile = false, const SamplingOptions& sampling = greedy_sampling());

/// Times a question of one picture and no words up to its answer's first token (prefill_s).
BenchResult bench_picture(Engine& engine, std::shared_ptr<const Pixels> picture,
                          bool profile = false);

/// The GPU's name and MLX's version, as "NVIDIA H200, MLX 0.32.4". On the CPU: "no GPU, MLX 0.32.4".
std::string gpu_name();

/// Has our GPU kernels tried again at the next load, where the last trial ended the program.
void try_gpu_kernels_again();

}  // namespace pippin::engine
