// A file of tensors by their names in Hugging Face's (or MLX's) words, whatever its format.
#pragma once

#include <mlx/mlx.h>

#include <cstddef>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

namespace pippin::nn {

namespace mx = mlx::core;

/// Immutable. `name` must be one of names().
class TensorFile {
 public:
  virtual ~TensorFile() = default;

  virtual const std::filesystem::path& path() const = 0;
  virtual const std::vector<std::string>& names() const = 0;
  /// The tensor itself; in MLX's words where it is quantized (NAME.weight, NAME.scales, NAME.biases).
  virtual mx::array tensor(const std::string& name) const = 0;
  /// What tensor() takes in memory; where it is converted, at most.
  virtual std::size_t tensor_bytes(const std::string& name) const = 0;
  virtual mx::Dtype dtype(const std::string& name) const = 0;
  virtual const mx::Shape& shape(const std::string& name) const = 0;
};

using TensorFiles = std::vector<std::unique_ptr<TensorFile>>;

}  // namespace pippin::nn
