// How an engine is set up. Every field can be left at its default.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>

#include "pippin/step.h"

namespace pippin {

/// Arithmetic of the model's activations (weights that are quantized stay so).
enum class DType {
  automatic,  ///< the checkpoint's on a GPU; float32 on a CPU, where MLX's half-precision
              ///< arithmetic is slower
  float32,
  float16,
  bfloat16,
};

/// Arithmetic of products with quantized weights on a CPU.
enum class CpuActivations {
  int8,  ///< 8 bits and a scale for each of the weights' groups, before quantized weights; bf16 before
         ///< weights in bf16 where the processor multiplies those: several times faster
  float32,  ///< exact but for the order of additions
};

/// Who computes on a GPU what both our kernels and MLX's operations can.
enum class GpuKernels {
  automatic,  ///< whoever is faster, of our kernels those that agree with MLX's operations on this machine
  own,  ///< our kernels, where they agree
  mlx,  ///< MLX's operations
};

struct EngineOptions {
  /// Arithmetic. float32 reproduces the reference implementations to rounding.
  DType dtype = DType::automatic;

  /// How keys and values are kept; automatic is float16 on a CPU (float32 with float32 activations),
  /// else as dtype.
  DType kv_dtype = DType::automatic;

  /// Keep keys and values as codes of 8 or 4 bits with one scale for each token and head instead: about
  /// half or a quarter of 16-bit memory, for a loss that DESIGN.md reports. 0: as kv_dtype, which must be
  /// automatic otherwise.
  int kv_bits = 0;

  /// Threads of a CPU's kernels; 0 takes every core that this process may use.
  int threads = 0;

  CpuActivations cpu_activations = CpuActivations::int8;

  /// Run on "gpu" (Metal or CUDA) or "cpu"; empty takes the GPU where MLX has one.
  std::string device;

  /// Our kernels are compared with MLX's operations at the start: half a minute for a new model, a second afterwards.
  GpuKernels gpu_kernels = GpuKernels::automatic;

  /// Longest sequence (prompt + answer) in tokens; 0 takes the checkpoint's
  /// max_position_embeddings, but no more than the page pool holds.
  std::int64_t max_context = 0;

  /// On a GPU, run some steps before the first request: MLX compiles kernels when they are first used,
  /// which takes minutes on a new machine. On a CPU there is nothing to warm up.
  bool warm_up = true;

  /// Tokens in one KV page: the unit of allocation and of prefix reuse. Smaller reuses more, larger
  /// costs less.
  int page_size = 16;

  /// Share of the memory that this process may use (a GPU's, or the machine's as far as a container or limit allows) which
  /// weights, activations, encoded pictures and the KV page pool take together; 0 takes 0.8. Where given, the pool takes
  /// all of it that the others leave.
  double memory_fraction = 0;

  /// The same in bytes; 0: as memory_fraction says. One of them at most may be given.
  std::int64_t memory_bytes = 0;

  /// Tokens the KV page pool holds over all sequences and the prefix cache; 0 takes 4 contexts, at
  /// most kv_pool_bytes.
  std::int64_t kv_pool_tokens = 0;

  /// Upper bound of the KV page pool in bytes when kv_pool_tokens is 0; 0 takes a quarter of the memory, as far as the
  /// budget above holds it.
  std::int64_t kv_pool_bytes = 0;

  /// For models with recurrent layers: tokens between two snapshots of their state. A repeated prefix is recomputed from the last
  /// snapshot at most. A multiple of page_size; 0 takes four times the tokens whose KV takes the room of a snapshot, in [512, 2048].
  int snapshot_tokens = 0;

  /// Write the whole pool once at the start, on a CPU (elsewhere it always is): otherwise its memory is taken as it is first used,
  /// and prompts take a little longer until all of it has been.
  bool preallocate_kv = false;

  /// Tokens (decode rows and prefill chunks together) in one step at most. 0: 512 on a CPU, 2,048 on a GPU, where a step costs the host the same
  /// whatever its tokens; max_sequences where that is more.
  int max_batch_tokens = 0;

  /// Time between two tokens of a running stream that is aimed at while prompts are read and pictures encoded beside it, in
  /// milliseconds: a step takes as many prompt tokens as fit, and half of it may go to the encoder, which goes on in
  /// the next one (one block of the vision tower is the least). Smaller is smoother, larger reads prompts faster.
  int max_itl_ms = 100;

  /// Sequences decoding at once; more wait in the queue.
  int max_sequences = 64;

  /// Requests waiting at most; past it submitting throws Error(resource_exhausted).
  int max_queue = 1024;

  /// Seconds that an answer may take at most, its time in the queue included; see StopOptions::timeout_s. 0: no limit.
  double request_timeout_s = 0;

  /// A sequence whose reader has left this many tokens unread waits until half of them are read, while others go on; its pages
  /// are the first to be given to those. 0: none waits.
  int max_unread_tokens = 256;

  /// Encoded pictures kept, in bytes of encoder output. 0 keeps none; -1 takes an eighth of what weights and activations leave
  /// of the budget, at most 512 MB.
  std::int64_t media_cache_bytes = -1;

  /// Pictures and videos that are decoded or kept decoded, and the files they are fetched from, in bytes; what does not fit waits. -1
  /// takes a quarter of what weights and activations leave of the budget, at most 1.25 GB. The engine sets it aside; who decodes
  /// (the server) keeps to it.
  std::int64_t decoded_bytes = -1;

  /// On a GPU, launch each step before the tokens of the one before are read, wherever they need not be: the device then does not
  /// wait for the host. On a CPU a step's launch computes it. Off only to compare.
  bool overlap = true;

  /// Share KV pages between requests with equal prefixes. Off only to compare.
  bool prefix_cache = true;

  /// Directory where KV pages and encoded pictures are kept beyond the process's end, to be found again by the next one; made where
  /// it is missing, may be shared by models and processes. Its files tell what was asked, so they are the owner's alone.
  /// Empty, or where it can't be used (which the log says): kept in memory alone.
  std::filesystem::path cache_dir;

  /// Size of that directory at most, in bytes, over all models; what was used least recently is removed.
  std::int64_t cache_disk_bytes = std::int64_t{10} << 30;

  /// How answers' tool calls and reasoning are told from text: a format's name, "auto" for the one that the chat template
  /// points to, "none" to leave answers as they are.
  std::string tool_parser = "auto";
  std::string reasoning_parser = "auto";

  /// The engine counts as stuck when a step takes longer than this many seconds.
  double stuck_after_s = 60;

  /// Called before every step, on the engine's thread. What it throws fails the step, as what the device throws would: so
  /// tests inject failures.
  std::function<void()> before_step;

  /// Called after every step, on the engine's thread: it must return within microseconds.
  std::function<void(const StepRecord&)> on_step;
};

}  // namespace pippin
