// WebP by libwebp: lossy, lossless, with transparency, and the first frame of an animation.
#include <webp/decode.h>
#include <webp/demux.h>

#include <algorithm>
#include <memory>
#include <vector>

#include "media/decoders.h"
#include "media/exif.h"
#include "media/pixel_ops.h"
#include "pippin/error.h"

namespace pippin::media {
namespace {

using Bytes = std::span<const std::uint8_t>;

struct DeleteDemuxer {
  void operator()(WebPDemuxer* demuxer) const { WebPDemuxDelete(demuxer); }
};
using Demuxer = std::unique_ptr<WebPDemuxer, DeleteDemuxer>;

// Releases what the iterator holds; the frame's bytes belong to the file.
struct Frame : WebPIterator {
  ~Frame() { WebPDemuxReleaseIterator(this); }
};

[[noreturn]] void fail(const char* why) {
  throw Error(Code::invalid_argument, std::string("[webp] cannot decode: ") + why);
}

int orientation_of(const WebPDemuxer* demuxer) {
  WebPChunkIterator chunk{};
  int orientation = 1;
  if (WebPDemuxGetChunk(demuxer, "EXIF", 1, &chunk)) {
    orientation = exif_orientation({chunk.chunk.bytes, chunk.chunk.size});
  }
  WebPDemuxReleaseChunkIterator(&chunk);
  return orientation;
}

// Draws a frame of exactly the picture's size.
void draw_opaque(const Frame& frame, Pixels& picture) {
  if (WebPDecodeRGBInto(frame.fragment.bytes, frame.fragment.size, picture.rgb.data(),
                        picture.rgb.size(), picture.width * 3) == nullptr) {
    fail("the file is damaged or truncated");
  }
}

// Draws a frame that is transparent or smaller than the picture, over white.
void draw_transparent(const Frame& frame, Pixels& picture) {
  const std::size_t row_bytes = static_cast<std::size_t>(frame.width) * 4;
  std::vector<std::uint8_t> rgba(row_bytes * frame.height);
  if (WebPDecodeRGBAInto(frame.fragment.bytes, frame.fragment.size, rgba.data(), rgba.size(),
                         static_cast<int>(row_bytes)) == nullptr) {
    fail("the file is damaged or truncated");
  }
  std::fill(picture.rgb.begin(), picture.rgb.end(), std::uint8_t{255});
  for (int y = 0; y < frame.height; ++y) {
    const std::size_t at = static_cast<std::size_t>(frame.y_offset + y) * picture.width;
    lay_on_white(&rgba[row_bytes * y], frame.width, &picture.rgb[(at + frame.x_offset) * 3]);
  }
}

}  // namespace

Pixels decode_webp(Bytes bytes, const ImageLimits& limits) {
  WebPBitstreamFeatures features;
  if (WebPGetFeatures(bytes.data(), bytes.size(), &features) != VP8_STATUS_OK) {
    fail("the header is damaged or truncated");
  }
  check_dimensions("webp", features.height, features.width, limits);
  const WebPData data{bytes.data(), bytes.size()};
  const Demuxer demuxer(WebPDemux(&data));
  Frame frame{};
  if (demuxer == nullptr || !WebPDemuxGetFrame(demuxer.get(), 1, &frame)) {
    fail("the file is damaged or truncated");
  }
  Pixels picture = new_picture("webp", features.height, features.width, limits);
  // The frame's own header decides what the decoder writes, so it is held to the canvas here.
  WebPBitstreamFeatures inner;
  if (WebPGetFeatures(frame.fragment.bytes, frame.fragment.size, &inner) != VP8_STATUS_OK ||
      inner.width != frame.width || inner.height != frame.height || frame.x_offset < 0 ||
      frame.y_offset < 0 || frame.x_offset + frame.width > picture.width ||
      frame.y_offset + frame.height > picture.height) {
    fail("a frame does not fit the picture");
  }
  const bool whole = frame.width == picture.width && frame.height == picture.height;
  if (whole && !frame.has_alpha) {
    draw_opaque(frame, picture);
  } else {
    draw_transparent(frame, picture);
  }
  return oriented(std::move(picture), orientation_of(demuxer.get()));
}

}  // namespace pippin::media
