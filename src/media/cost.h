// What decoding takes of memory, known from headers before it is taken.
#pragma once

#include <cstdint>
#include <span>

#include "pippin/pixels.h"

namespace pippin::media {

/// In bytes.
struct PictureCost {
  std::int64_t kept = 0;  ///< of the pixels
  std::int64_t work = 0;  ///< beside them, while it is decoded: about as much, at most
};

/// The cost of decode_image(bytes, limits), which throws the same errors about the header.
PictureCost image_cost(std::span<const std::uint8_t> bytes, const ImageLimits& limits);

}  // namespace pippin::media
