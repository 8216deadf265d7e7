// A decoded picture: the form in which every image enters Pippin, whatever file or URL it came
// from.
#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <span>
#include <vector>

namespace pippin {

/// A BLAKE3-256 hash.
using Digest = std::array<std::uint8_t, 32>;

/// Row-major RGB8 pixels, [height, width, 3]. Equal pixels are the same picture to every cache.
struct Pixels {
  int height = 0;
  int width = 0;
  std::vector<std::uint8_t> rgb;  ///< height * width * 3 bytes

  bool operator==(const Pixels&) const = default;
};

/// What a picture may cost before it is refused (Code::payload_too_large).
struct ImageLimits {
  std::int64_t max_bytes = 20 << 20;   ///< encoded size
  std::int64_t max_pixels = 64 << 20;  ///< height * width, read from the header before decoding
  double max_decode_seconds = 20;      ///< of one core's time
  /// Asked from time to time while it is decoded; false: nobody waits for it any more, so that ends with Error(cancelled). Empty: it is
  /// wanted.
  std::function<bool()> wanted = {};
};

/// Decodes PNG, JPEG, WebP, BMP or GIF (first frame). EXIF orientation is applied; transparency is
/// laid on white. Throws Error(invalid_argument) on a broken or unknown file,
/// Error(payload_too_large) over a limit or for more scans than a picture of its size needs, and std::bad_alloc where the system has
/// no memory, which libraries in C report otherwise.
Pixels decode_image(std::span<const std::uint8_t> bytes, const ImageLimits& limits = {});

/// Reads and decodes a picture file. Throws like decode_image, and Error(not_found).
Pixels load_image(const std::filesystem::path& file, const ImageLimits& limits = {});

}  // namespace pippin
