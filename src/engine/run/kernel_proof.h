// Before a model serves on a GPU: each of our kernels that it would use, compared with MLX's operations and timed beside them.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <vector>

#include "kernels/gpu/kept_proofs.h"
#include "models/model.h"
#include "nn/model_state.h"
#include "pippin/engine.h"

namespace pippin::engine {

struct ProofOptions {
  int page_size = 16;
  nn::KvStorage kv = {};
  int max_sequences = 64;      ///< decode rows at most
  int max_batch_tokens = 512;  ///< of a step
  int calls = 16;              ///< that are timed together; 0 times none
};

/// Runs steps of seeded tokens and ragged contexts: prompts of 2 to max_batch_tokens tokens, then decode rows of 1 to max_sequences. `known` proofs
/// are not repeated. On the thread that calls MLX. Throws what MLX's operations throw.
std::vector<kernels::gpu::Proof> prove_kernels(const models::Model& model,
                                               const ProofOptions& options,
                                               std::vector<kernels::gpu::Proof> known = {});

/// Decode steps of 1, 2, 4 ... max_sequences rows, by our kernels as they are chosen now and by MLX's operations: what no single operation shows, such
/// as a kernel that runs before another's result is there. Ends with the first that fails. `tried`: the operations that prove_kernels tried. Nothing is
/// run where `known` has all these steps, of the same operations by the same side.
std::vector<kernels::gpu::Proof> prove_steps(const models::Model& model,
                                             const ProofOptions& options,
                                             const std::vector<kernels::gpu::Proof>& tried = {},
                                             const std::vector<kernels::gpu::Proof>& known = {});

/// The kernels that a model runs with. On the thread that calls MLX.
class ChosenKernels {
 public:
  /// On a GPU, unless `wanted` is mlx: what the file keeps is read, the rest is proved and kept, and what is right and, with
  /// GpuKernels::automatic, pays is used. Where whole steps are wrong then, or slower than MLX's, MLX runs all.
  ChosenKernels(const models::Model& model, const ProofOptions& options, GpuKernels wanted,
                const std::filesystem::path& file = kernels::gpu::proofs_file());
  ChosenKernels(const ChosenKernels&) = delete;
  ChosenKernels& operator=(const ChosenKernels&) = delete;

  const std::vector<KernelProof>& proofs() const { return proofs_; }

  /// While it lives they are in use on this thread, over those of an engine whose work this one interrupts. One at a time.
  class InUse {
   public:
    explicit InUse(ChosenKernels& kernels);
    ~InUse();
    InUse(const InUse&) = delete;
    InUse& operator=(const InUse&) = delete;

   private:
    ChosenKernels& kernels_;
    std::optional<kernels::gpu::UseExecutorHere> executor_;
  };

 private:
  void prove(const models::Model& model, const ProofOptions& options, GpuKernels wanted,
             const std::filesystem::path& file);
  void report(const kernels::gpu::Proof& proof, bool used);
  void use_mlx();

  bool decided_ = false;  ///< false: the process's executor runs kernels, if it has one
  std::unique_ptr<kernels::gpu::Executor> executor_;  ///< null where decided: MLX runs all
  kernels::gpu::Choices choices_;                     ///< while in use: those that hold otherwise
  std::vector<KernelProof> proofs_;
};

}  // namespace pippin::engine
