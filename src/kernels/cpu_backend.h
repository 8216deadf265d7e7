// The bridge between MLX's arrays and the plain kernels of cpu/: who runs them, and how.
#pragma once

#include <mlx/mlx.h>

#include <atomic>
#include <chrono>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "kernels/cpu/attention.h"
#include "kernels/cpu/experts.h"
#include "kernels/cpu/kernels.h"
#include "kernels/cpu/memory.h"
#include "kernels/cpu/team.h"

namespace pippin::kernels {

namespace mx = mlx::core;

/// Time spent per kind of operation, in seconds.
using Profile = std::map<std::string, double>;

struct CpuOptions {
  int threads = 0;  ///< 0: all usable cores
  /// Activations stay float32, instead of 8 bits a group before quantized weights and bf16 before those
  /// in bf16: slower, and exact but for the order of additions.
  bool exact_activations = false;
  std::optional<cpu::Isa> isa = {};  ///< else cpu::selected_isa()
};

/// Owns the threads and the working memory of the CPU's kernels. Shared by the layers of a model,
/// whose operations run one at a time (on the engine's thread), so that nothing here is locked but the
/// profile. Absent (a null pointer) on GPUs and wherever MLX's own operations are to
/// be used.
class CpuBackend {
 public:
  explicit CpuBackend(const CpuOptions& options)
      : team(options.threads > 0 ? options.threads : cpu::usable_cores()),
        kernels(options.isa ? cpu::kernels_of(*options.isa) : cpu::kernels()),
        exact_activations(options.exact_activations) {}

  cpu::Team team;
  const cpu::Kernels& kernels;
  cpu::Arena arena;      ///< of the weights
  cpu::Scratch scratch;  ///< one operation's
  cpu::AttentionScratch attention_scratch;
  cpu::ExpertsScratch experts_scratch;
  const bool exact_activations;

  /// Starts counting anew (true) or stops.
  void set_profiling(bool on);
  Profile profile() const;
  bool profiling() const { return profiling_; }
  void add_time(const char* operation, double seconds);

 private:
  std::atomic<bool> profiling_{false};
  mutable std::mutex mutex_;
  Profile profile_;  // guarded by mutex_
};

using CpuBackendPtr = std::shared_ptr<CpuBackend>;

/// How the kernels call a dtype. Throws Error(internal) where they don't know it.
cpu::Format format_of(mx::Dtype dtype);

/// An array of uninitialised memory for state, on huge pages where there are any; pages that nobody wrote
/// take no memory.
mx::array host_array(const mx::Shape& shape, mx::Dtype dtype);

/// The array itself, evaluated and row-contiguous (a copy where it isn't).
mx::array host_input(mx::array x);

/// An evaluated array of uninitialised memory.
mx::array host_output(const mx::Shape& shape, mx::Dtype dtype);

/// Adds the time of its scope to the profile, where the backend is profiling.
class OperationTimer {
 public:
  OperationTimer(CpuBackend& backend, const char* operation);
  ~OperationTimer();
  OperationTimer(const OperationTimer&) = delete;
  OperationTimer& operator=(const OperationTimer&) = delete;

 private:
  CpuBackend* backend_;  // null where not profiling
  const char* operation_;
  std::chrono::steady_clock::time_point start_;
};

/// One operation on host memory: run(in, out) on host_input of the inputs and host_output of the given
/// shape, which it returns. `name` is what the profile calls it.
/// It runs now, on the calling thread and the backend's, not as a node of MLX's graph: there each
/// operation costs some microseconds of allocation and of handing over to the CPU stream's thread,
/// which also takes a core from the kernels (a tenth of the time of a 0.6B model's decode step on two
/// cores), and a graph has nothing to gain from it.
template <class Run>
mx::array host_operation(CpuBackend& backend, const char* name, const mx::Shape& shape,
                         mx::Dtype dtype, const std::vector<mx::array>& inputs, const Run& run) {
  std::vector<mx::array> in;
  for (const auto& x : inputs) in.push_back(host_input(x));
  auto out = host_output(shape, dtype);
  const OperationTimer timer(backend, name);
  run(std::as_const(in), out);
  return out;
}

}  // namespace pippin::kernels
