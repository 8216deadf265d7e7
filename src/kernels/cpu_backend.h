// The bridge between MLX's arrays and the plain kernels of cpu/: who runs them, and how.
#pragma once

#include <mlx/mlx.h>

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "kernels/cpu/attention.h"
#include "kernels/cpu/kernels.h"
#include "kernels/cpu/memory.h"
#include "kernels/cpu/team.h"

namespace pippin::kernels {

namespace mx = mlx::core;

/// Time spent per kind of operation, in seconds.
using Profile = std::map<std::string, double>;

struct CpuOptions {
  int threads = 0;  ///< 0: all usable cores
  /// Activations stay float32 before quantized weights, instead of 8 bits a group: slower, and exact
  /// but for the order of additions.
  bool exact_activations = false;
};

/// Owns the threads and the working memory of the CPU's kernels. Shared by the layers of a model,
/// whose operations run one at a time (on the engine's thread), so that nothing here is locked but the
/// profile. Absent (a null pointer) on GPUs and wherever MLX's own operations are to
/// be used.
class CpuBackend {
 public:
  explicit CpuBackend(const CpuOptions& options)
      : team(options.threads > 0 ? options.threads : cpu::usable_cores()),
        kernels(cpu::kernels()),
        exact_activations(options.exact_activations) {}

  cpu::Team team;
  const cpu::Kernels& kernels;
  cpu::Arena arena;      ///< of the weights
  cpu::Scratch scratch;  ///< one operation's
  cpu::AttentionScratch attention_scratch;
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

/// A zeroed array in memory of its own, on huge pages where there are any; pages that nobody wrote take
/// no memory.
mx::array host_array(const mx::Shape& shape, mx::Dtype dtype);

/// One operation on host memory.
struct HostOperation {
  /// Inputs are evaluated and row-contiguous; the output is allocated and uninitialised.
  using Run = std::function<void(const std::vector<mx::array>& in, mx::array& out)>;

  const char* name;  ///< what the profile calls it
  CpuBackendPtr backend;
  Run run;
};

/// Runs it now, on the calling thread and the backend's, and returns the output: an evaluated array.
/// Not as a node of MLX's graph: there each operation costs some microseconds of allocation and of
/// handing over to the CPU stream's thread, which also takes a core from the kernels (a tenth of the
/// time of a 0.6B model's decode step on two cores), and a graph has nothing to gain from it.
mx::array host_operation(const HostOperation& operation, const mx::Shape& shape, mx::Dtype dtype,
                         const std::vector<mx::array>& inputs);

}  // namespace pippin::kernels
