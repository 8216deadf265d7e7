// GPTQ and AWQ of 4 bits as MLX's affine quantization.
#pragma once

#include <boost/json/fwd.hpp>

#include <map>
#include <optional>

#include "nn/safetensors.h"
#include "nn/tensor_file.h"

namespace pippin::nn {

/// What a config.json's quantization_config says of them.
struct PackedInts {
  enum class Method { gptq, awq };
  Method method;
  int group = 128;             ///< 0: one for all inputs
  bool zeros_less_one = true;  ///< GPTQ's first format stores a zero point less one
};

/// The quantization_config of method "gptq" or "awq"; nullopt for others. Throws Error(invalid_argument) naming a value that
/// is not supported: other bits, groups in another order than the inputs' (desc_act), AWQ in another version than gemm.
std::optional<PackedInts> packed_ints(const boost::json::object& quantization_config);

/// The tensors of all files as one: in place of NAME.qweight, .qzeros, .scales (and .g_idx) stand NAME.weight, .scales and
/// .biases. w = scale (q - zero) becomes scale q + bias, exactly: scale and bias stay float16 where it holds all products
/// scale * zero, else both are float32.
class PackedIntTensors : public TensorFile {
 public:
  /// Throws Error(invalid_argument) naming a tensor that is missing, has another shape, or puts inputs in another order.
  PackedIntTensors(std::vector<SafetensorsFile> files, const PackedInts& format);

  const std::filesystem::path& path() const override { return files_.front().path(); }
  const std::vector<std::string>& names() const override { return names_; }
  mx::array tensor(const std::string& name) const override;
  std::size_t tensor_bytes(const std::string& name) const override;
  mx::Dtype dtype(const std::string& name) const override { return entries_.at(name).dtype; }
  const mx::Shape& shape(const std::string& name) const override { return entries_.at(name).shape; }

 private:
  enum class Part { whole, words, scales, biases };
  struct Entry {
    Part part;
    mx::Dtype dtype;
    mx::Shape shape;
    std::string module = {};  ///< with its dot; of what is converted
    int group = 0;
  };
  using Places = std::map<std::string, std::size_t>;  ///< the file of each stored tensor

  void add_module(const std::string& module);
  void check_order(const std::string& module, int group) const;
  void check_shape(const std::string& name, const mx::Shape& wanted) const;
  bool is_idle_bias(const std::string& name) const;
  mx::array stored(const std::string& name) const;
  mx::Shape stored_shape(const std::string& name) const;
  mx::array zeros(const Entry& entry) const;

  std::vector<SafetensorsFile> files_;
  PackedInts format_;
  Places places_;
  std::vector<std::string> names_;
  std::map<std::string, Entry> entries_;
};

}  // namespace pippin::nn
