// Files of videos. FFmpeg itself is the system's, without instrumentation: what is tried is what we let it see and believe.
#include "fuzzing.h"
#include "pippin/video.h"

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace pippin;
  fuzz::refused_only_with({Code::invalid_argument, Code::payload_too_large}, [&] {
    VideoLimits limits;
    limits.max_decode_seconds = 5;
    limits.max_pixels = 8 << 20;
    const Video video = decode_video({data, size}, {.max_frames = 8}, limits);
    fuzz::require(!video.frames.empty() && video.frames.size() <= 8, "too many frames, or none");
    fuzz::require(video.seconds.size() == video.frames.size(), "frames without a time");
    const Pixels& first = video.frames.front();
    for (const Pixels& frame : video.frames) {
      fuzz::require(frame.height == first.height && frame.width == first.width,
                    "frames of two sizes");
      fuzz::require(frame.rgb.size() == std::size_t{3} * static_cast<std::size_t>(frame.height) *
                                            static_cast<std::size_t>(frame.width),
                    "missing pixels");
    }
    for (const double seconds : video.seconds)
      fuzz::require(seconds >= 0 && seconds < 1e9, "a frame at no time");
  });
  return 0;
}
