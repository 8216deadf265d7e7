// The demuxer: bytes of a video file -> packets of its video stream. Internal to media/.
#pragma once

#include <cstdint>
#include <span>

#include "media/ffmpeg.h"
#include "media/watch.h"
#include "pippin/video.h"

namespace pippin::media {

/// Throws Error(invalid_argument) with FFmpeg's words for `code`, or std::bad_alloc where it got no memory.
[[noreturn]] void fail_video(const char* doing, int code);

/// What is let decode a stream, as FFmpeg names its decoders.
extern const char* const kVideoDecoders;

/// One file open for reading. Owns FFmpeg's demuxer and its view of the bytes, which must outlive it, as must `watch`.
/// Used by one thread. The demuxer is chosen by the file's first bytes from the three that there are
/// (never a playlist), sees these bytes alone and can open nothing else.
class VideoSource {
 public:
  /// Reads the headers. Throws Error(invalid_argument) where there is no video to be found, and
  /// Error(payload_too_large) over a limit.
  VideoSource(std::span<const std::uint8_t> bytes, const VideoLimits& limits, const Watch& watch);
  VideoSource(const VideoSource&) = delete;
  VideoSource& operator=(const VideoSource&) = delete;

  /// The next packet of the video stream; false at the end. Throws on a broken or truncated file.
  bool read(AVPacket& packet);

  const AVStream& stream() const { return *format_->streams[stream_]; }
  int audio_tracks() const;
  /// EXIF's name (1..8) for how frames are to be turned and mirrored.
  int orientation() const;

 private:
  static int on_read(void* self, std::uint8_t* out, int size);
  static std::int64_t on_seek(void* self, std::int64_t offset, int whence);
  void open(const VideoLimits& limits);
  void choose_stream(const VideoLimits& limits);

  std::span<const std::uint8_t> bytes_;
  std::int64_t at_ = 0;
  const Watch& watch_;
  Ffmpeg<AVIOContext> io_;  // outlives format_, which reads through it
  Ffmpeg<AVFormatContext> format_;
  int stream_ = -1;
};

}  // namespace pippin::media
