#include "media/exif.h"

#include <algorithm>
#include <cstddef>
#include <string_view>

namespace pippin::media {
namespace {

using Bytes = std::span<const std::uint8_t>;

bool starts_with(Bytes bytes, std::string_view prefix) {
  return bytes.size() >= prefix.size() &&
         std::equal(prefix.begin(), prefix.end(), bytes.begin(),
                    [](char a, std::uint8_t b) { return static_cast<std::uint8_t>(a) == b; });
}

// A TIFF structure in its own byte order; reading past the end gives 0.
struct Tiff {
  Bytes bytes;
  bool little_endian;

  std::uint32_t number(std::size_t at, std::size_t size) const {
    if (at > bytes.size() || size > bytes.size() - at) return 0;
    std::uint32_t value = 0;
    for (std::size_t i = 0; i < size; ++i) {
      value = value << 8 | bytes[at + (little_endian ? size - 1 - i : i)];
    }
    return value;
  }
};

}  // namespace

int exif_orientation(Bytes exif) {
  constexpr std::string_view kPrefix{"Exif\0\0", 6};
  if (starts_with(exif, kPrefix)) exif = exif.subspan(kPrefix.size());
  if (!starts_with(exif, "II") && !starts_with(exif, "MM")) return 1;
  const Tiff tiff{exif, exif[0] == 'I'};
  const std::size_t directory = tiff.number(4, 4);
  const std::uint32_t num_entries = tiff.number(directory, 2);
  for (std::uint32_t i = 0; i < num_entries; ++i) {
    const std::size_t entry = directory + 2 + i * std::size_t{12};
    constexpr std::uint32_t kOrientation = 0x0112;
    if (tiff.number(entry, 2) != kOrientation) continue;
    const std::uint32_t value = tiff.number(entry + 8, 2);
    return value >= 1 && value <= 8 ? static_cast<int>(value) : 1;
  }
  return 1;
}

}  // namespace pippin::media
