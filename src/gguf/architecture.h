// What llama.cpp calls an architecture, in the words of config.json: the fields and the tensors' names.
#pragma once

#include <boost/json.hpp>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "gguf/file.h"

namespace pippin::gguf {

/// The config.json of a model: model_type and the fields that its family reads, from the first file's metadata and the
/// tensors of all. "quantization" tells the bits of each quantized module. Throws Error(invalid_argument) naming an architecture that is
/// not supported (and those that are), or a key that is missing.
boost::json::object config_of(const std::vector<File>& files);

/// generation_config.json: the tokens that end an answer, and the sampling that the file recommends.
boost::json::object generation_config_of(const Metadata& metadata);

/// Numbers that the file has in another order along an axis (-1 or -2): behind the first `kept`, runs of `size`, [inner, outer] of
/// them there and [outer, inner] at Hugging Face's.
struct Reorder {
  int axis = -1, kept = 0, outer = 1, inner = 1, size = 1;
};

/// What a tensor of the file is at Hugging Face's.
struct Placement {
  std::string name;  ///< empty: nothing there; config.json says it all
  bool less_one =
      false;  ///< a norm that the file stores with the one added that the family adds itself (Gemma)
  bool log_of_minus = false;     ///< x there is -exp(x) in the file
  bool axis_behind = false;      ///< another axis, of 1, follows
  std::optional<Reorder> order;  ///< absent: the same
};

/// A model's tensors. A name that is not known stays as it is, so that the model says that it has no place for it.
class Placements {
 public:
  explicit Placements(const Metadata& metadata);
  Placement of(const std::string& name) const;

 private:
  void place_delta(const std::string& module, Placement& placement) const;

  std::string architecture_;
  std::int64_t num_layers_;              ///< further ones draft, and are dropped
  int key_heads_ = 0, value_heads_ = 0;  ///< of gated delta layers
  int key_dim_ = 0, value_dim_ = 0;      ///< of one of their heads
};

}  // namespace pippin::gguf
