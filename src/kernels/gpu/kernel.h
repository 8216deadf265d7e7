// Our own kernels for GPUs: written once, run by one of three executors. The third, on CPUs, is for tests: kernels/emulated.
#pragma once

#include <mlx/mlx.h>

#include <array>
#include <memory>
#include <string>
#include <variant>
#include <vector>

namespace pippin::kernels::gpu {

namespace mx = mlx::core;

class Player;

/// A kernel's text, in the vocabulary of the preludes. It names its inputs, outputs and template arguments, and `group` (uint3) and `tid` (uint).
struct Kernel {
  std::string name;
  std::vector<std::string> inputs, outputs;
  const char* functions;  ///< what the call needs
  const char* call;       ///< statements
  bool waits =
      false;  ///< says itself, by inputs_ready(), when it reads what kernels before it made
};

struct TemplateArgument {
  std::string name;
  std::variant<int, mx::Dtype> value;
};

/// One use of a kernel.
struct Launch {
  std::vector<mx::array>
      inputs;  ///< row-contiguous; at least 8 numbers each, since Metal takes fewer for constants
  std::vector<mx::Shape> shapes;  ///< of the outputs
  std::vector<mx::Dtype> dtypes;  ///< of the outputs
  std::array<int, 3> groups;      ///< each dimension at least 1
  int threads;                    ///< of a group: a multiple of 32, at most 256
  std::vector<TemplateArgument> arguments;
  int dynamic_shared = 0;  ///< bytes of a group's memory beside what the text declares
};

/// What runs kernels. Used by the thread that calls MLX.
class Executor {
 public:
  virtual ~Executor() = default;
  /// The kernel's outputs, not computed yet where MLX computes when asked. Throws Error(internal) where a rule is broken, the same on
  /// each executor.
  std::vector<mx::array> run(const Kernel& kernel, const Launch& launch);
  /// Whether a kernel may write an input, where all that read it later take an output of that kernel, too: MLX knows nothing of it.
  virtual bool writes_inputs() const = 0;
  /// Whether launches are only written down (plan.h).
  virtual bool records() const { return false; }
  virtual bool is_emulated() const { return false; }
  /// What runs plans of its launches (plan.h); null where there is none.
  virtual std::unique_ptr<Player> make_player() const;
  /// The launch of this kernel that makes x, where that is known: another kernel may do its work, too.
  virtual const Launch* made_by(const Kernel&, const mx::array&) const { return nullptr; }

 private:
  virtual std::vector<mx::array> execute(const Kernel& kernel, const Launch& launch) = 0;
};

/// By MLX's fast::cuda_kernel and fast::metal_kernel, on the default device.
std::unique_ptr<Executor> cuda_executor();
std::unique_ptr<Executor> metal_executor();

/// Whose kernels a model's operations use; null: MLX's operations. At first the default device's where it is an NVIDIA GPU, else none: on
/// Apple's nobody has run them yet.
Executor* executor();
/// What runs our kernels on the default device, whoever has run them there before; null where it is no GPU.
std::unique_ptr<Executor> device_executor();
/// Another, or none, until the object is destroyed. For tests and for options.
class UseExecutor {
 public:
  explicit UseExecutor(std::unique_ptr<Executor> executor);
  ~UseExecutor();
  UseExecutor(const UseExecutor&) = delete;
  UseExecutor& operator=(const UseExecutor&) = delete;

 private:
  std::unique_ptr<Executor> mine_;
  Executor* before_;
};

/// The same for the calling thread alone, over what the process uses: another engine's thread goes on as it was.
class UseExecutorHere {
 public:
  explicit UseExecutorHere(Executor* executor);
  ~UseExecutorHere();
  UseExecutorHere(const UseExecutorHere&) = delete;
  UseExecutorHere& operator=(const UseExecutorHere&) = delete;

 private:
  bool had_one_;
  Executor* before_;
};

/// What MLX reads of the environment when it starts, set to what suits us where the user has set nothing. Called before anything asks MLX
/// for a device.
void prepare_environment();

/// Small inputs that stay the same: at least 8 numbers, made once.
mx::array constants(std::vector<int> values);
mx::array constants(std::vector<float> values);

/// x with zeros behind, so that it has at least 8 numbers.
std::vector<std::int32_t> padded(std::vector<std::int32_t> values);
mx::array padded_input(const mx::array& x);

/// float32, bfloat16 or float16.
bool is_number(mx::Dtype dtype);

}  // namespace pippin::kernels::gpu
