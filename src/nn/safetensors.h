// Reading .safetensors files: a JSON header with names, dtypes, shapes and byte ranges, then the
// raw little-endian data. Format: https://github.com/huggingface/safetensors
#pragma once

#include <mlx/mlx.h>

#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/files.h"
#include "nn/tensor_file.h"

namespace pippin::nn {

/// One mapped file. Immutable; the mapping lives until the last array made from it is gone.
class SafetensorsFile : public TensorFile {
 public:
  /// Throws Error(invalid_argument) on a malformed header or a range outside the file,
  /// Error(not_found) when unreadable.
  explicit SafetensorsFile(const std::filesystem::path& file);

  const std::filesystem::path& path() const override { return path_; }
  /// In the header's order.
  const std::vector<std::string>& names() const override { return names_; }
  /// Over the mapped bytes where the device can use them in place, else a copy.
  mx::array tensor(const std::string& name) const override;
  std::size_t tensor_bytes(const std::string& name) const override {
    return entries_.at(name).size;
  }
  mx::Dtype dtype(const std::string& name) const override { return entries_.at(name).dtype; }
  const mx::Shape& shape(const std::string& name) const override { return entries_.at(name).shape; }

 private:
  struct Entry {
    mx::Dtype dtype = mx::float32;
    mx::Shape shape;
    std::size_t offset = 0;  ///< from the file's start
    std::size_t size = 0;    ///< bytes
  };

  std::filesystem::path path_;
  std::shared_ptr<MappedFile> file_;
  std::vector<std::string> names_;
  std::map<std::string, Entry> entries_;
};

}  // namespace pippin::nn
