#include "media/video_sampling.h"

#include <algorithm>
#include <cmath>
#include <string>

#include "pippin/error.h"

namespace pippin::media {
namespace {

constexpr int kMostFrames = 1 << 16;  // far above any context; keeps what follows within an int

void require(bool holds, const char* what) {
  if (!holds) throw Error(Code::invalid_argument, std::string("[video] ") + what);
}

void check(const VideoSampling& s) {
  require(s.fps > 0 && s.fps <= 1000, "fps must be above 0 and at most 1000");
  require(s.min_frames >= 1 && s.min_frames <= kMostFrames, "min_frames must be 1..65536");
  require(s.max_frames >= 1 && s.max_frames <= kMostFrames, "max_frames must be 1..65536");
  require(s.num_frames >= 0 && s.num_frames <= kMostFrames, "num_frames must be 0..65536");
}

std::int64_t count_of(std::int64_t total, double rate, const VideoSampling& sampling) {
  if (sampling.num_frames > 0) return sampling.num_frames;
  const double wanted = std::min(static_cast<double>(total) / rate * sampling.fps,
                                 static_cast<double>(sampling.max_frames));
  const auto count = std::max(static_cast<std::int64_t>(wanted), std::int64_t{sampling.min_frames});
  return std::min({count, std::int64_t{sampling.max_frames}, total});
}

}  // namespace

std::vector<std::int64_t> sample_frames(std::int64_t total, double rate,
                                        const VideoSampling& sampling) {
  check(sampling);
  const std::int64_t count = count_of(total, rate, sampling);
  const auto last = static_cast<double>(total - 1);
  const double step = count > 1 ? last / static_cast<double>(count - 1) : 0;
  std::vector<std::int64_t> indices;
  // numpy's linspace(0, last, count).round(): halves go to the even index.
  for (std::int64_t i = 0; i < count; ++i) {
    const bool end = count > 1 && i == count - 1;
    indices.push_back(std::llrint(end ? last : static_cast<double>(i) * step));
  }
  return indices;
}

}  // namespace pippin::media
