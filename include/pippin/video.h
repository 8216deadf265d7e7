// A decoded video: the frames of a clip that a model is shown, and when each was.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <span>
#include <vector>

#include "pippin/pixels.h"

namespace pippin {

/// Which frames of a clip a model sees, evenly spaced from the first to the last, as transformers'
/// Qwen3VLVideoProcessor chooses them. The defaults are its; a checkpoint's own are in ModelInfo.
struct VideoSampling {
  double fps = 2;        ///< frames a second of the clip, > 0
  int min_frames = 4;    ///< at least, where the clip has as many
  int max_frames = 768;  ///< at most
  int num_frames = 0;    ///< exactly as many, whatever the three above say; 0: as they say

  bool operator==(const VideoSampling&) const = default;
};

/// What a clip may cost before it is refused (Code::payload_too_large).
struct VideoLimits {
  std::int64_t max_bytes = 64 << 20;         ///< encoded size
  double max_seconds = 3600;                 ///< duration
  std::int64_t max_frames = 1 << 18;         ///< in the file, whether sampled or not
  std::int64_t max_frame_pixels = 36 << 20;  ///< height * width of a frame
  std::int64_t max_pixels = 256 << 20;  ///< of all sampled frames, which are in memory together
  double max_decode_seconds = 60;       ///< of one core's time
  std::function<bool()> wanted = {};    ///< as ImageLimits::wanted
};

struct Video {
  std::vector<Pixels> frames;   ///< at least one, in order, all of one size
  std::vector<double> seconds;  ///< of each frame, from the clip's beginning
  int audio_tracks = 0;         ///< in the file; nobody listens to them
};

/// Decodes the frames that `sampling` chooses of an MP4, MOV, WebM, Matroska or animated GIF file, in
/// memory alone: nothing else is opened, whatever the file names. Rotation is applied, transparency
/// laid on white. Colours become RGB8 by the stream's matrix and range (BT.601, limited, where it names
/// none), without tone mapping. A frame's time is its index over the clip's mean frame rate.
/// Throws Error(invalid_argument) on a broken, truncated or unknown file, Error(payload_too_large) over
/// a limit.
Video decode_video(std::span<const std::uint8_t> bytes, const VideoSampling& sampling = {},
                   const VideoLimits& limits = {});

/// Reads and decodes a video file. Throws like decode_video, and Error(not_found).
Video load_video(const std::filesystem::path& file, const VideoSampling& sampling = {},
                 const VideoLimits& limits = {});

/// A clip given as pictures, `fps` of them a second: all are shown.
/// Throws Error(invalid_argument) without pictures, or where their sizes differ.
Video make_video(std::vector<Pixels> frames, double fps);

}  // namespace pippin
