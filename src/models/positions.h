// Positions of a prompt's tokens, as a model wants them.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "media/patches.h"

namespace pippin::models {

/// A picture's place in a sequence: the placeholders [begin, begin + length) and the grid of merged
/// rows (t * h * w = length).
struct MediaSpan {
  std::int64_t begin = 0;
  std::int64_t length = 0;
  media::PatchGrid merged;
};

/// Positions of a sequence, on up to three axes: explicit for the prompt, a running count after it. Without explicit
/// ones all tokens are counted.
struct Positions {
  std::array<std::vector<std::int32_t>, 3>
      prompt;  ///< time, height, width of each prompt token, or none
  std::int32_t delta =
      0;  ///< a token past the prompt at index i has position i + delta on all axes

  /// Position of the token at `index` on `axis`.
  std::int32_t at(int axis, std::int64_t index) const {
    const auto& row = prompt[static_cast<std::size_t>(axis)];
    return index < static_cast<std::int64_t>(row.size()) ? row[static_cast<std::size_t>(index)]
                                                         : static_cast<std::int32_t>(index) + delta;
  }
  /// Whether all axes of the tokens [begin, end) agree.
  bool one_axis(std::int64_t begin, std::int64_t end) const;
};

/// A model's rule, for a prompt of num_tokens. `spans` are in order and lie within [0, num_tokens).
using PositionsFn = Positions(std::int64_t num_tokens, const std::vector<MediaSpan>& spans);

/// Every token counts one.
Positions count_positions(std::int64_t num_tokens, const std::vector<MediaSpan>& spans);

/// M-RoPE (transformers: Qwen3VLModel.get_rope_index). Text counts on; a picture's rows share the time position, count rows and columns on the other
/// two axes, and the text after it goes on past the largest.
Positions mrope_positions(std::int64_t num_tokens, const std::vector<MediaSpan>& spans);

}  // namespace pippin::models
