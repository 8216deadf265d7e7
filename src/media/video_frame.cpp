#include "media/video_frame.h"

extern "C" {
#include <libavutil/pixdesc.h>
}

#include <algorithm>
#include <cstring>
#include <new>

#include "media/pixel_ops.h"
#include "media/video_source.h"
#include "pippin/error.h"

namespace pippin::media {
namespace {

// The old names of full-range formats, which swscale asks to be told in another way.
AVPixelFormat plain_format(AVPixelFormat format) {
  switch (format) {
    case AV_PIX_FMT_YUVJ420P:
      return AV_PIX_FMT_YUV420P;
    case AV_PIX_FMT_YUVJ422P:
      return AV_PIX_FMT_YUV422P;
    case AV_PIX_FMT_YUVJ444P:
      return AV_PIX_FMT_YUV444P;
    case AV_PIX_FMT_YUVJ440P:
      return AV_PIX_FMT_YUV440P;
    default:
      return format;
  }
}

// Files may give FFmpeg's enums any value, which as one would be undefined.
template <class Enum>
int number_of(const Enum& value) {
  static_assert(sizeof(Enum) == sizeof(int));
  int number = 0;
  std::memcpy(&number, &value, sizeof(number));
  return number;
}

bool has_alpha(AVPixelFormat format) {
  const AVPixFmtDescriptor* description = av_pix_fmt_desc_get(format);
  return description != nullptr && (description->flags & AV_PIX_FMT_FLAG_ALPHA) != 0;
}

void copy_row(const std::uint8_t* row, int width, bool alpha, std::uint8_t* rgb) {
  if (alpha)
    lay_on_white(row, static_cast<std::size_t>(width), rgb);
  else
    std::copy_n(row, static_cast<std::size_t>(width) * 3, rgb);
}

}  // namespace

void FrameConverter::prepare(const AVFrame& frame, AVPixelFormat target) {
  const auto format = static_cast<AVPixelFormat>(frame.format);
  scaler_.reset(sws_getCachedContext(
      scaler_.release(), frame.width, frame.height, plain_format(format), frame.width, frame.height,
      target, SWS_BILINEAR | SWS_ACCURATE_RND | SWS_FULL_CHR_H_INT | SWS_BITEXACT, nullptr, nullptr,
      nullptr));
  if (!scaler_) throw Error(Code::invalid_argument, "[video] its kind of pixels is not known");
  const bool full =
      number_of(frame.color_range) == AVCOL_RANGE_JPEG || plain_format(format) != format;
  sws_setColorspaceDetails(scaler_.get(), sws_getCoefficients(number_of(frame.colorspace)), full,
                           sws_getCoefficients(SWS_CS_DEFAULT), 1, 0, 1 << 16, 1 << 16);
}

Pixels FrameConverter::operator()(const AVFrame& frame) {
  const bool alpha = has_alpha(static_cast<AVPixelFormat>(frame.format));
  // swscale may write past a row's end, hence a buffer of its own making.
  const Ffmpeg<AVFrame> out(av_frame_alloc());
  if (!out) throw std::bad_alloc();
  out->format = alpha ? AV_PIX_FMT_RGBA : AV_PIX_FMT_RGB24;
  out->width = frame.width;
  out->height = frame.height;
  if (const int code = av_frame_get_buffer(out.get(), 0); code < 0)
    fail_video("convert a frame", code);
  prepare(frame, static_cast<AVPixelFormat>(out->format));
  if (const int code = sws_scale(scaler_.get(), frame.data, frame.linesize, 0, frame.height,
                                 out->data, out->linesize);
      code < 0)
    fail_video("convert a frame", code);
  Pixels pixels{frame.height, frame.width, {}};
  const auto row_bytes = static_cast<std::size_t>(frame.width) * 3;
  pixels.rgb.resize(row_bytes * static_cast<std::size_t>(frame.height));
  for (int y = 0; y < frame.height; ++y)
    copy_row(out->data[0] + std::ptrdiff_t{y} * out->linesize[0], frame.width, alpha,
             pixels.rgb.data() + row_bytes * static_cast<std::size_t>(y));
  return pixels;
}

}  // namespace pippin::media
