#include <algorithm>
#include <string>
#include <string_view>
#include <system_error>

#include "base/files.h"
#include "media/decoders.h"
#include "pippin/error.h"
#include "pippin/pixels.h"

namespace pippin {
namespace {

using Bytes = std::span<const std::uint8_t>;

bool has_at(Bytes bytes, std::size_t at, std::string_view magic) {
  return bytes.size() >= at + magic.size() &&
         std::equal(magic.begin(), magic.end(), bytes.begin() + static_cast<std::ptrdiff_t>(at),
                    [](char a, std::uint8_t b) { return static_cast<std::uint8_t>(a) == b; });
}

void check_bytes(std::uintmax_t size, const ImageLimits& limits) {
  if (size > static_cast<std::uintmax_t>(limits.max_bytes)) {
    throw Error(Code::payload_too_large, "[decode_image] a picture may have at most " +
                                             std::to_string(limits.max_bytes) + " bytes, got " +
                                             std::to_string(size));
  }
}

using Decode = Pixels (*)(Bytes, const ImageLimits&, const media::Watch&);
using Cost = media::PictureCost (*)(Bytes, const ImageLimits&);
struct Format {
  Decode decode;
  Cost cost;
};

Format format_of(Bytes bytes, const ImageLimits& limits) {
  check_bytes(bytes.size(), limits);
  if (has_at(bytes, 0, "\x89PNG\r\n\x1a\n")) return {media::decode_png, media::png_cost};
  if (has_at(bytes, 0, "\xff\xd8\xff")) return {media::decode_jpeg, media::jpeg_cost};
  if (has_at(bytes, 0, "RIFF") && has_at(bytes, 8, "WEBP"))
    return {media::decode_webp, media::webp_cost};
  if (has_at(bytes, 0, "GIF8")) return {media::decode_gif, media::gif_cost};
  if (has_at(bytes, 0, "BM")) return {media::decode_bmp, media::bmp_cost};
  throw Error(Code::invalid_argument,
              "[decode_image] expected a PNG, JPEG, WebP, GIF or BMP file, got " +
                  std::to_string(bytes.size()) + " bytes that begin like none of them");
}

}  // namespace

Pixels decode_image(Bytes bytes, const ImageLimits& limits) {
  const media::Watch watch(limits.max_decode_seconds, limits.wanted);
  return format_of(bytes, limits).decode(bytes, limits, watch);
}

media::PictureCost media::image_cost(Bytes bytes, const ImageLimits& limits) {
  return format_of(bytes, limits).cost(bytes, limits);
}

Pixels load_image(const std::filesystem::path& file, const ImageLimits& limits) {
  std::error_code error;
  const std::uintmax_t size = std::filesystem::file_size(file, error);
  if (error) {
    throw Error(Code::not_found,
                "[load_image] cannot read " + file.string() + ": " + error.message());
  }
  check_bytes(size, limits);
  return decode_image(read_file(file), limits);
}

}  // namespace pippin
