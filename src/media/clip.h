// A clip in two steps: what it takes, then its frames. Internal to media/ and to who admits clips by their memory.
#pragma once

#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include "media/cost.h"
#include "pippin/video.h"

namespace pippin::media {

/// A file whose packets have been read: they say how many frames there are and where decoding may begin. Refers to the file's bytes,
/// which must outlive it. Used by one thread at a time.
class Clip {
 public:
  /// Throws as decode_video().
  Clip(std::span<const std::uint8_t> bytes, const VideoSampling& sampling, VideoLimits limits);

  PictureCost cost() const;

  /// Decodes only what the chosen frames need. Throws as decode_video().
  Video decode() const;

 private:
  using Times = std::vector<std::int64_t>;  // in the stream's time base

  std::span<const std::uint8_t> bytes_;
  VideoLimits limits_;
  std::pair<std::int64_t, std::int64_t> size_;  ///< height and width of a frame, as stored
  Times keys_;                                  ///< where decoding may begin
  Times wanted_;                                ///< when each chosen frame is shown; ascending
  std::vector<double> seconds_;                 ///< of these
  int audio_tracks_ = 0;
};

}  // namespace pippin::media
