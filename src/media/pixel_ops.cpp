#include "media/pixel_ops.h"

#include <algorithm>
#include <string>
#include <utility>

#include "pippin/error.h"

namespace pippin::media {

void check_dimensions(std::string_view format, std::int64_t height, std::int64_t width,
                      const ImageLimits& limits) {
  const std::string size = std::to_string(width) + " x " + std::to_string(height) + " pixels";
  if (height < 1 || width < 1) {
    throw Error(Code::invalid_argument,
                "[" + std::string(format) + "] the picture is empty, got " + size);
  }
  if (height > limits.max_pixels / width) {
    throw Error(Code::payload_too_large, "[" + std::string(format) + "] at most " +
                                             std::to_string(limits.max_pixels) +
                                             " pixels are allowed, got " + size);
  }
}

std::int64_t pixel_bytes(std::string_view format, std::int64_t height, std::int64_t width,
                         const ImageLimits& limits) {
  check_dimensions(format, height, width, limits);
  return height * width * 3;
}

Pixels new_picture(std::string_view format, std::int64_t height, std::int64_t width,
                   const ImageLimits& limits) {
  check_dimensions(format, height, width, limits);
  Pixels picture{static_cast<int>(height), static_cast<int>(width), {}};
  picture.rgb.resize(static_cast<std::size_t>(height) * static_cast<std::size_t>(width) * 3);
  return picture;
}

void lay_on_white(const std::uint8_t* rgba, std::size_t count, std::uint8_t* rgb) {
  for (std::size_t i = 0; i < count; ++i, rgba += 4, rgb += 3) {
    const unsigned alpha = rgba[3];
    const unsigned white = (255 - alpha) * 255 + 127;  // + 127: round to nearest
    for (int c = 0; c < 3; ++c) {
      rgb[c] = static_cast<std::uint8_t>((rgba[c] * alpha + white) / 255);
    }
  }
}

namespace {

// Where stored pixel (y, x) goes: index = origin + y * per_row + x * per_column, in pixels.
struct Placement {
  std::ptrdiff_t origin, per_row, per_column;
};

// The eight orientations of EXIF 2.3, table "Orientation", for a stored picture of height h, width
// w.
Placement placement_of(int orientation, std::ptrdiff_t h, std::ptrdiff_t w) {
  switch (orientation) {
    case 2:
      return {w - 1, w, -1};  // mirrored left-right
    case 3:
      return {h * w - 1, -w, -1};  // turned by 180 degrees
    case 4:
      return {(h - 1) * w, -w, 1};  // mirrored top-bottom
    case 5:
      return {0, 1, h};  // transposed
    case 6:
      return {h - 1, -1, h};  // to be turned clockwise
    case 7:
      return {h * w - 1, -1, -h};  // transposed over the other diagonal
    case 8:
      return {(w - 1) * h, 1, -h};  // to be turned counter-clockwise
    default:
      return {0, w, 1};
  }
}

}  // namespace

Pixels oriented(Pixels stored, int orientation) {
  if (orientation < 2 || orientation > 8) return stored;
  const int h = stored.height;
  const int w = stored.width;
  const auto [origin, per_row, per_column] = placement_of(orientation, h, w);
  const bool turned = orientation >= 5;
  Pixels shown{turned ? w : h, turned ? h : w, std::vector<std::uint8_t>(stored.rgb.size())};
  constexpr int kTile = 64;  // a turned row is a column: tiles keep both sides within the cache
  for (int tile_y = 0; tile_y < h; tile_y += kTile) {
    for (int tile_x = 0; tile_x < w; tile_x += kTile) {
      const int end_x = std::min(tile_x + kTile, w);
      for (int y = tile_y; y < std::min(tile_y + kTile, h); ++y) {
        const std::uint8_t* from = &stored.rgb[(static_cast<std::size_t>(y) * w + tile_x) * 3];
        std::uint8_t* to = shown.rgb.data() + (origin + y * per_row + tile_x * per_column) * 3;
        for (int x = tile_x; x < end_x; ++x, from += 3, to += per_column * 3) {
          std::copy_n(from, 3, to);
        }
      }
    }
  }
  return shown;
}

}  // namespace pippin::media
