// The name of a picture for every cache: what it shows, not where it came from.
#pragma once

#include "pippin/pixels.h"

namespace pippin::media {

/// BLAKE3 over height, width (32-bit little-endian each) and the RGB8 pixels: the same picture as
/// PNG, BMP or base64 has one digest, and the same bytes in another shape have another.
Digest pixel_digest(const Pixels& pixels);

}  // namespace pippin::media
