// Checkpoints as mlx-lm's convert writes them: MLX's names, quantized or not.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>

namespace pippin::models {

struct ConvertOptions {
  /// Whether matrices are quantized whose rows are whole groups.
  bool quantize = false;
  std::string mode = "affine";  ///< or mxfp4, nvfp4, mxfp8
  std::int64_t bits = 0;        ///< 0: the mode's own, 4 where affine
  std::int64_t group_size = 0;  ///< 0: the mode's own, 64 where affine
  /// mixed_2_6, mixed_3_4, mixed_3_6 or mixed_4_6: more bits for the output layer, and in some layers for values and the
  /// MLPs' second matrices; empty: the same everywhere. Only where affine.
  std::string recipe;
  /// float32, float16 or bfloat16: of what is not quantized, and of scales; empty: the config's torch_dtype, else as
  /// it is stored.
  std::string dtype;
  /// The largest file; further tensors go to the next.
  std::size_t file_bytes = std::size_t{5} << 30;
  std::function<void(double)> progress = {};  ///< called with the fraction done, in [0, 1]
};

/// Writes the model at `source` (a directory, or a GGUF file of plain tensors) to the directory `destination`, which must not
/// exist; it appears when it is whole. Takes the memory of the largest matrix and of what becomes of it. Throws
/// Error(invalid_argument) naming what is not supported (an option, a model_type whose MLX names are not known, a checkpoint that
/// is quantized already), Error(unavailable) where the system refuses to write.
void convert(const std::filesystem::path& source, const std::filesystem::path& destination,
             const ConvertOptions& options);

}  // namespace pippin::models
