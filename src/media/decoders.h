// The picture decoders, one file a format. Internal to media/; others call decode_image.
// Each takes the whole encoded file, checks the header's size before it takes memory, ignores what
// follows the picture, and throws Error(invalid_argument) on a broken or truncated one, std::bad_alloc where its library gets no
// memory. Between rows or scans it asks `watch`. A format's cost is read from its header.
#pragma once

#include <cstdint>
#include <span>

#include "media/cost.h"
#include "media/watch.h"
#include "pippin/pixels.h"

namespace pippin::media {

Pixels decode_png(std::span<const std::uint8_t> bytes, const ImageLimits& limits,
                  const Watch& watch);
Pixels decode_jpeg(std::span<const std::uint8_t> bytes, const ImageLimits& limits,
                   const Watch& watch);
Pixels decode_webp(std::span<const std::uint8_t> bytes, const ImageLimits& limits,
                   const Watch& watch);
Pixels decode_bmp(std::span<const std::uint8_t> bytes, const ImageLimits& limits,
                  const Watch& watch);
Pixels decode_gif(std::span<const std::uint8_t> bytes, const ImageLimits& limits,
                  const Watch& watch);

PictureCost png_cost(std::span<const std::uint8_t> bytes, const ImageLimits& limits);
PictureCost jpeg_cost(std::span<const std::uint8_t> bytes, const ImageLimits& limits);
PictureCost webp_cost(std::span<const std::uint8_t> bytes, const ImageLimits& limits);
PictureCost bmp_cost(std::span<const std::uint8_t> bytes, const ImageLimits& limits);
PictureCost gif_cost(std::span<const std::uint8_t> bytes, const ImageLimits& limits);

}  // namespace pippin::media
