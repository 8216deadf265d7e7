// The steps that every picture decoder shares. Internal to media/.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "pippin/pixels.h"

namespace pippin::media {

/// A black picture of this size, allocated only after the size was found within the limits.
/// `format` names the decoder in errors. Throws Error(invalid_argument) for an empty picture and
/// Error(payload_too_large) over limits.max_pixels.
Pixels new_picture(std::string_view format, std::int64_t height, std::int64_t width,
                   const ImageLimits& limits);

/// Only the check of new_picture: for headers that are read before their library is let loose.
void check_dimensions(std::string_view format, std::int64_t height, std::int64_t width,
                      const ImageLimits& limits);

/// Bytes of that picture's pixels, by the same check.
std::int64_t pixel_bytes(std::string_view format, std::int64_t height, std::int64_t width,
                         const ImageLimits& limits);

/// Composes `count` straight-alpha RGBA8 pixels over white into RGB8. White because transparent
/// drawings are made for a page: over black, dark lines would vanish.
void lay_on_white(const std::uint8_t* rgba, std::size_t count, std::uint8_t* rgb);

/// The picture as it is meant to be seen, given its EXIF orientation 1..8 (1: as stored).
Pixels oriented(Pixels stored, int orientation);

}  // namespace pippin::media
