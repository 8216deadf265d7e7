// A model's files of tensors.
#pragma once

#include <filesystem>
#include <optional>

#include "nn/packed_ints.h"
#include "nn/tensor_file.h"

namespace pippin::nn {

/// model.safetensors, the shards of model.safetensors.index.json or every *.safetensors of a directory; or the parts of a GGUF
/// file. `packed`: how matrices of 4 bits are stored, where they are. `groups_of_16`: see GgufTensors. Throws Error(not_found) where there are none, and as the formats' readers do.
TensorFiles open_tensors(const std::filesystem::path& model,
                         const std::optional<PackedInts>& packed, bool groups_of_16);

}  // namespace pippin::nn
