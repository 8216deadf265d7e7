// Which frames of a clip are shown, as transformers' Qwen3VLVideoProcessor.sample_frames chooses them.
// Internal to media/.
#pragma once

#include <cstdint>
#include <vector>

#include "pippin/video.h"

namespace pippin::media {

/// Indices, ascending, of the frames to show of a clip of `total` frames (>= 1) at `rate` frames a
/// second (> 0). Throws Error(invalid_argument) on a sampling that makes no sense.
std::vector<std::int64_t> sample_frames(std::int64_t total, double rate,
                                        const VideoSampling& sampling);

}  // namespace pippin::media
