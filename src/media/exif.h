// The one EXIF tag that changes what a picture shows: its orientation. Internal to media/.
#pragma once

#include <cstdint>
#include <span>

namespace pippin::media {

/// The orientation 1..8 in an EXIF block (a TIFF structure, with or without the "Exif\0\0" prefix);
/// 1 where the tag is missing or the block is broken, as viewers do.
int exif_orientation(std::span<const std::uint8_t> exif);

}  // namespace pippin::media
