// Writing .safetensors files of tensors that are made one after the other.
#pragma once

#include <mlx/mlx.h>

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <map>
#include <string>
#include <vector>

namespace pippin::nn {

namespace mx = mlx::core;

/// A tensor that is to be written: all that a header says.
struct TensorPlan {
  std::string name;
  mx::Dtype dtype;
  mx::Shape shape;

  std::size_t bytes() const;
};

/// One file. The header is written at once, the tensors as they come, each in as many pieces as it pleases.
class SafetensorsWriter {
 public:
  /// Throws Error(unavailable) where the file cannot be written.
  SafetensorsWriter(const std::filesystem::path& file, const std::vector<TensorPlan>& tensors);

  /// Writes the next bytes of a tensor. Evaluates `piece`, which must have the planned dtype.
  void append(const std::string& name, const mx::array& piece);
  /// Throws Error(unavailable) where the system refused any of it, std::logic_error where bytes are missing.
  void finish();

 private:
  struct Place {
    std::size_t next, end;  ///< from the file's start
  };
  std::filesystem::path path_;
  std::ofstream out_;
  std::map<std::string, Place> places_;
};

}  // namespace pippin::nn
