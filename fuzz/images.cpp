// Files of pictures, within the server's limits on how large one may be once it is decoded.
#include "fuzzing.h"
#include "pippin/pixels.h"

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace pippin;
  fuzz::refused_only_with({Code::invalid_argument, Code::payload_too_large}, [&] {
    const ImageLimits limits;
    const Pixels picture = decode_image({data, size}, limits);
    fuzz::require(picture.height > 0 && picture.width > 0, "a picture of nothing");
    const std::int64_t pixels = std::int64_t{picture.height} * picture.width;
    fuzz::require(pixels <= limits.max_pixels, "a picture over the limit");
    fuzz::require(picture.rgb.size() == static_cast<std::size_t>(3 * pixels), "missing pixels");
  });
  return 0;
}
