// The picture decoders, one file a format. Internal to media/; others call decode_image.
// Each takes the whole encoded file, checks the header's size before it takes memory, ignores what
// follows the picture, and throws Error(invalid_argument) on a broken or truncated one.
#pragma once

#include <cstdint>
#include <span>

#include "pippin/pixels.h"

namespace pippin::media {

Pixels decode_png(std::span<const std::uint8_t> bytes, const ImageLimits& limits);
Pixels decode_jpeg(std::span<const std::uint8_t> bytes, const ImageLimits& limits);
Pixels decode_webp(std::span<const std::uint8_t> bytes, const ImageLimits& limits);
Pixels decode_bmp(std::span<const std::uint8_t> bytes, const ImageLimits& limits);
Pixels decode_gif(std::span<const std::uint8_t> bytes, const ImageLimits& limits);

}  // namespace pippin::media
