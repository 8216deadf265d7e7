// A model directory's weights: all its tensors under the model's own names, taken one by one and
// checked to the last.
#pragma once

#include <mlx/mlx.h>

#include <boost/json/fwd.hpp>

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "kernels/weight.h"
#include "nn/packed_ints.h"
#include "nn/tensor_file.h"

namespace pippin::nn {

/// How one module is quantized. bits 0 means: not quantized.
struct Quantization {
  int group_size = 0;
  int bits = 0;
  kernels::Scheme scheme = kernels::Scheme::affine;
};

/// The same after a check. Throws Error(invalid_argument) naming `what` where MLX has no such quantization.
Quantization checked_quantization(std::int64_t group_size, std::int64_t bits,
                                  const std::string& what,
                                  kernels::Scheme scheme = kernels::Scheme::affine);

/// The "quantization" object of an MLX config.json: defaults, and overrides by module path
/// ({"group_size": 64, "bits": 4, "model.layers.0.mlp.down_proj": {"bits": 8, ...} | false}).
struct QuantizationConfig {
  std::optional<Quantization> defaults;
  std::map<std::string, Quantization> overrides;
  /// GPTQ's or AWQ's; then nothing is said above, since the tensors' shapes say it all.
  std::optional<PackedInts> packed;

  /// Also quant_method "mxfp4", as gpt-oss is published, "gptq" and "awq". Throws Error(invalid_argument) on other methods
  /// and modes, and on impossible sizes.
  static QuantizationConfig from_json(const boost::json::object& config);
  /// What applies to a module; nullopt where the config says nothing about quantization at all.
  std::optional<Quantization> of(const std::string& module) const;
};

/// Maps a checkpoint's tensor (or module) name to the model's name; an empty result drops the
/// tensor.
using RenameFn = std::function<std::string(const std::string&)>;

/// A tensor of the model's that the checkpoint stores with others as one.
struct TensorPart {
  std::string name;         ///< the model's
  int axis;                 ///< of the stored tensor's last axes: -1, -2 or -3
  int begin, end;           ///< along it
  int step = 1;             ///< two parts may lie interleaved
  bool transposed = false;  ///< the part's last two axes change places
  /// The axis has so many equal blocks; begin and end are within each, and the part has its pieces in order.
  int blocks = 1;
};

/// The parts of a tensor by its model's name (after RenameFn); none: it is stored alone.
using SplitFn = std::function<std::vector<TensorPart>(const std::string&)>;

/// What a checkpoint's tensors amount to.
struct CheckpointSize {
  std::int64_t num_parameters =
      0;  ///< a packed weight counts as the values it stands for; its scales don't count
  std::int64_t bytes = 0;  ///< as stored
};

/// How a checkpoint becomes arrays.
struct LoadOptions {
  /// Floating-point tensors are converted to this.
  mx::Dtype dtype = mx::float32;
  /// Where set, weight matrices are packed for the CPU's kernels as they are loaded and keep the
  /// checkpoint's format; dtype must be float32.
  kernels::CpuBackendPtr cpu = {};
  /// The factors that a tensor of the model's is multiplied by as it is loaded: none, one, or one for each of its first axis. Scales and
  /// biases of a quantized weight are asked for as NAME.weight is.
  std::function<std::vector<float>(const std::string& name)> scale = {};
  /// Called with the fraction done, in [0, 1].
  std::function<void(double)> progress = {};
};

/// Owned and used by the thread that builds the model. Every tensor may be taken once;
/// check_empty() names what is left.
class Checkpoint {
 public:
  /// Opens model.safetensors, the shards of model.safetensors.index.json, or every *.safetensors of
  /// the directory; or a GGUF file, whose metadata and tensors are told in the same words. Floating-point tensors become
  /// `dtype`. Throws Error on unreadable files, duplicate names or a missing shard.
  Checkpoint(const std::filesystem::path& model, const QuantizationConfig& quantization,
             const RenameFn& rename, LoadOptions options, const SplitFn& split = {});

  bool has(const std::string& name) const { return tensors_.count(name) > 0; }
  /// The tensor's shape, without taking it. Throws Error(invalid_argument) naming it where missing.
  mx::Shape shape(const std::string& name) const;
  /// The same of its dtype in the file.
  mx::Dtype stored_dtype(const std::string& name) const;
  /// In options' dtype where floating-point. Throws Error(invalid_argument) naming the tensor where it
  /// is missing or its shape is another.
  mx::array take(const std::string& name, const mx::Shape& shape);
  /// As take, in the file's own dtype; over the file's own memory where TensorFile::tensor is.
  mx::array take_stored(const std::string& name, const mx::Shape& shape);
  /// What the config says about a module; see QuantizationConfig::of.
  std::optional<Quantization> quantization(const std::string& module) const {
    return quantization_.of(module);
  }
  /// Throws Error(invalid_argument) naming the tensors that nobody took.
  void check_empty() const;

  mx::Dtype dtype() const { return options_.dtype; }
  const kernels::CpuBackendPtr& cpu() const { return options_.cpu; }
  const CheckpointSize& size() const { return size_; }

 private:
  struct Source {
    std::size_t file;
    std::string name;
    std::optional<TensorPart> part = {};  ///< absent: the whole tensor
  };

  void add_quantization(const QuantizationConfig& quantization, const RenameFn& rename,
                        const SplitFn& split);
  void add_tensor(const std::string& name, const std::string& ours, std::size_t file,
                  const SplitFn& split);
  void add_source(const std::string& ours, Source source);
  void count(const std::string& name, const std::string& ours, const TensorFile& file);
  mx::array scaled(const std::string& name, const mx::array& tensor) const;
  void note_taken(std::int64_t bytes);

  QuantizationConfig quantization_;
  LoadOptions options_;
  TensorFiles files_;
  std::map<std::string, Source> tensors_;  ///< not yet taken, by the model's name
  CheckpointSize size_;
  std::int64_t taken_bytes_ = 0;
};

}  // namespace pippin::nn
