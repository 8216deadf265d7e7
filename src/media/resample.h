// Resizing a picture exactly as Pillow does. Internal to media/.
#pragma once

#include "pippin/pixels.h"

namespace pippin::media {

/// The picture at height x width (both >= 1), byte for byte what Pillow's
/// Image.resize((width, height), BICUBIC) gives: antialiased when it shrinks.
Pixels resize_bicubic(const Pixels& picture, int height, int width);

}  // namespace pippin::media
