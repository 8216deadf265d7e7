// The tensors of a GGUF file, in Hugging Face's names and MLX's quantizations.
#pragma once

#include <map>
#include <optional>

#include "gguf/architecture.h"
#include "gguf/blocks.h"
#include "gguf/file.h"
#include "nn/tensor_file.h"

namespace pippin::nn {

/// One file. Plain tensors lie over the mapped bytes; quantized ones are converted as they are taken, value by value the same:
/// to affine groups (of 32; Q6_K's of 16, with scales in float32) or to mxfp4.
class GgufTensors : public TensorFile {
 public:
  /// `placements`: of the model. Without `groups_of_16`, Q6_K becomes plain float32: MLX's own products have no such groups.
  /// Throws Error(invalid_argument) naming a tensor that cannot be what its place asks for.
  GgufTensors(gguf::File file, const gguf::Placements& placements, bool groups_of_16);

  const std::filesystem::path& path() const override { return file_.path(); }
  const std::vector<std::string>& names() const override { return names_; }
  mx::array tensor(const std::string& name) const override;
  std::size_t tensor_bytes(const std::string& name) const override;
  mx::Dtype dtype(const std::string& name) const override { return entries_.at(name).dtype; }
  const mx::Shape& shape(const std::string& name) const override { return entries_.at(name).shape; }

 private:
  enum class Part { whole, words, scales, biases };
  struct Entry {
    const gguf::Tensor* source;
    Part part;
    mx::Dtype dtype = mx::float32;
    mx::Shape shape;
    gguf::Placement placement;
  };

  void add(const gguf::Tensor& tensor, gguf::Placement placement);
  void add_quantized(const gguf::Tensor& tensor, const gguf::Placement& placement);
  void add_entry(const std::string& name, Entry entry);
  mx::array plain(const Entry& entry) const;
  mx::array quantized_part(const Entry& entry) const;
  const gguf::Quantized& quantized(const gguf::Tensor& tensor) const;

  gguf::File file_;
  bool groups_of_16_;
  std::vector<std::string> names_;
  std::map<std::string, Entry> entries_;
  // A matrix's parts are taken one after the other.
  struct Last {
    const gguf::Tensor* source = nullptr;
    gguf::Quantized quantized;
    int parts_taken = 0;
  };
  mutable Last last_;
};

}  // namespace pippin::nn
