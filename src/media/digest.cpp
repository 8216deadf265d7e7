#include "media/digest.h"

#include "base/digest.h"

namespace pippin::media {

Digest pixel_digest(const Pixels& pixels) {
  std::array<std::uint8_t, 8> size;
  for (int i = 0; i < 4; ++i) {
    size[i] = static_cast<std::uint8_t>(pixels.height >> (8 * i));
    size[4 + i] = static_cast<std::uint8_t>(pixels.width >> (8 * i));
  }
  Hasher hasher;
  hasher.update(size);
  hasher.update(pixels.rgb);
  return hasher.finish();
}

}  // namespace pippin::media
