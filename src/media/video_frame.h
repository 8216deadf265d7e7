// A decoder's frame -> RGB8. Internal to media/.
#pragma once

#include "media/ffmpeg.h"
#include "pippin/pixels.h"

namespace pippin::media {

/// Converts frames of one stream; keeps swscale's tables from one to the next. Used by one thread.
class FrameConverter {
 public:
  /// The frame's pixels: chroma interpolated, the frame's colour matrix and range applied (BT.601 where
  /// it names none), transparency laid on white. Throws Error(invalid_argument) on a kind of pixel that
  /// swscale doesn't know.
  Pixels operator()(const AVFrame& frame);

 private:
  void prepare(const AVFrame& frame, AVPixelFormat target);

  Ffmpeg<SwsContext> scaler_;
};

}  // namespace pippin::media
