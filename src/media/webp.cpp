// WebP by libwebp: lossy, lossless, with transparency, and the first frame of an animation.
#include <webp/decode.h>
#include <webp/demux.h>

#include <algorithm>
#include <memory>
#include <new>
#include <span>
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

struct DeleteDecoder {
  void operator()(WebPIDecoder* decoder) const { WebPIDelete(decoder); }
};

// Decodes a frame into [height, row_bytes], piece by piece of the file, so that it can be stopped.
void draw(const Frame& frame, WEBP_CSP_MODE mode, std::span<std::uint8_t> out,
          std::size_t row_bytes, const Watch& watch) {
  constexpr std::size_t kPiece = 64 << 10;
  const std::unique_ptr<WebPIDecoder, DeleteDecoder> decoder(
      WebPINewRGB(mode, out.data(), out.size(), static_cast<int>(row_bytes)));
  if (decoder == nullptr) throw std::bad_alloc();
  VP8StatusCode status = VP8_STATUS_SUSPENDED;
  for (std::size_t size = 0; size < frame.fragment.size && status == VP8_STATUS_SUSPENDED;) {
    watch.check("webp");
    size = std::min(size + kPiece, frame.fragment.size);
    status = WebPIUpdate(decoder.get(), frame.fragment.bytes, size);
  }
  if (status == VP8_STATUS_OUT_OF_MEMORY) throw std::bad_alloc();
  if (status != VP8_STATUS_OK) fail("the file is damaged or truncated");
}

// Draws a frame of exactly the picture's size.
void draw_opaque(const Frame& frame, Pixels& picture, const Watch& watch) {
  draw(frame, MODE_RGB, picture.rgb, static_cast<std::size_t>(picture.width) * 3, watch);
}

// Draws a frame that is transparent or smaller than the picture, over white.
void draw_transparent(const Frame& frame, Pixels& picture, const Watch& watch) {
  const std::size_t row_bytes = static_cast<std::size_t>(frame.width) * 4;
  std::vector<std::uint8_t> rgba(row_bytes * frame.height);
  draw(frame, MODE_RGBA, rgba, row_bytes, watch);
  std::fill(picture.rgb.begin(), picture.rgb.end(), std::uint8_t{255});
  for (int y = 0; y < frame.height; ++y) {
    const std::size_t at = static_cast<std::size_t>(frame.y_offset + y) * picture.width;
    lay_on_white(&rgba[row_bytes * y], frame.width, &picture.rgb[(at + frame.x_offset) * 3]);
  }
}

WebPBitstreamFeatures features_of(Bytes bytes, const ImageLimits& limits) {
  WebPBitstreamFeatures features;
  if (WebPGetFeatures(bytes.data(), bytes.size(), &features) != VP8_STATUS_OK) {
    fail("the header is damaged or truncated");
  }
  check_dimensions("webp", features.height, features.width, limits);
  return features;
}

}  // namespace

PictureCost webp_cost(Bytes bytes, const ImageLimits& limits) {
  const WebPBitstreamFeatures features = features_of(bytes, limits);
  const std::int64_t pixels = std::int64_t{features.height} * features.width;
  constexpr int kLossy = 1;
  PictureCost cost{3 * pixels};
  if (features.format != kLossy) cost.work += 4 * pixels;  // in the decoder
  if (features.has_alpha) cost.work += 5 * pixels;         // RGBA here, a plane in the decoder
  const WebPData data{bytes.data(), bytes.size()};
  const Demuxer demuxer(WebPDemux(&data));
  if (demuxer != nullptr && orientation_of(demuxer.get()) > 1) cost.work += cost.kept;
  return cost;
}

Pixels decode_webp(Bytes bytes, const ImageLimits& limits, const Watch& watch) {
  const WebPBitstreamFeatures features = features_of(bytes, limits);
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
    draw_opaque(frame, picture, watch);
  } else {
    draw_transparent(frame, picture, watch);
  }
  return oriented(std::move(picture), orientation_of(demuxer.get()));
}

}  // namespace pippin::media
