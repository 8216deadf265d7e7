// A step written down once and run many times: the launches of our kernels over memory that stays. What MLX spends on each kernel of each
// step (4 to 6 us of the host's time on CUDA) is spent once.
#pragma once

#include <mlx/mlx.h>

#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "kernels/gpu/kernel.h"

namespace pippin::kernels::gpu {

/// Where a launch reads or writes.
struct Place {
  int array = -1;          ///< of Plan::arrays; -1: the plan's own memory
  std::size_t offset = 0;  ///< bytes in the plan's own memory
};

struct PlannedLaunch {
  const Kernel* kernel;
  std::vector<Place> in, out;
  std::vector<mx::Dtype> in_dtypes, out_dtypes;
  std::array<int, 3> groups;
  int threads;
  std::vector<TemplateArgument> arguments;
  int dynamic_shared;
};

struct Plan {
  std::vector<mx::array> arrays;  ///< computed and row-contiguous
  std::vector<char> varies;       ///< whether an array's content differs from run to run
  std::vector<PlannedLaunch> launches;
  std::size_t bytes = 0;  ///< of the plan's own memory
  std::vector<Place> outputs;
};

/// What a recording shall give: an array that launches make, in the plan's own memory or in an array's that stays.
struct PlanOutput {
  mx::array made;
  std::optional<mx::array> to = {};
};

/// Writes launches down instead of running them. What MLX's operations make of the outputs can't be used by a launch, but for views of them.
class Recorder final : public Executor {
 public:
  /// `varying`: what differs from run to run. It stays where it is, and nothing is computed of it beforehand.
  Recorder(bool writes_inputs, const std::vector<mx::array>& varying);

  bool writes_inputs() const override { return writes_inputs_; }
  bool records() const override { return true; }
  const Launch* made_by(const Kernel& kernel, const mx::array& x) const override;

  /// What the outputs need of what was recorded. Absent where a launch reads what MLX's operations make: refusal() names the operation.
  std::optional<Plan> finish(const std::vector<PlanOutput>& outputs);
  const std::string& refusal() const { return refusal_; }

 private:
  struct Recorded {
    const Kernel* kernel;
    Launch launch;
    std::vector<mx::array> outputs;
  };
  struct Source {
    std::size_t launch;
    int output;
  };
  std::vector<mx::array> execute(const Kernel& kernel, const Launch& launch) override;
  std::optional<Source> source_of(const mx::array& x) const;
  bool varies(const mx::array& x) const;
  std::optional<mx::array> constant_of(const mx::array& x);

  bool writes_inputs_;
  std::set<std::uintptr_t> varying_;
  std::vector<mx::array> kept_;  // what varying_ names
  std::deque<Recorded> launches_;
  std::map<std::uintptr_t, Source> made_;
  std::string refusal_;
};

/// A plan, ready to run.
class Playback {
 public:
  virtual ~Playback() = default;
  /// Runs all launches, behind what MLX was asked to compute before and ahead of what it is asked for later.
  virtual void run() = 0;
  /// Output i as an array that stays; its content changes with each run.
  virtual mx::array output(std::size_t i, mx::Shape shape, mx::Dtype dtype) const = 0;
};

/// What runs plans and brings their numbers to and fro, in the order of the calls. Used by the thread that calls MLX.
class Player {
 public:
  virtual ~Player() = default;
  virtual std::unique_ptr<Playback> prepare(Plan plan) = 0;
  /// int32 arrays with memory.
  virtual void upload(std::span<const std::int32_t> values, const mx::array& to) = 0;
  virtual void copy(const mx::array& from, const mx::array& to, int count) = 0;
  /// Asks for the array's first numbers as they are now; at most 4 such requests may wait to be read.
  virtual int ask(const mx::array& from, int count) = 0;
  /// Waits for them.
  virtual std::vector<std::int32_t> read(int request) = 0;
  /// Where an array's content is: another place after it was moved.
  virtual void* place_of(const mx::array& x) const = 0;
};

/// By CUDA's driver: a graph of launches for each plan, in MLX's stream. Null where MLX is not the version whose insides this knows, or the
/// driver or its compiler is not there.
std::unique_ptr<Player> cuda_player();

/// An array over a part of another's memory, `offset` bytes behind its begin.
mx::array view_of(const mx::array& memory, std::size_t offset, mx::Shape shape, mx::Dtype dtype);

}  // namespace pippin::kernels::gpu
