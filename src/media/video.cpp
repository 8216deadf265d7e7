// Decoding in two passes: the packets say how many frames there are and where decoding may begin; then
// only what the chosen frames need is decoded.
#include "pippin/video.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <new>
#include <string>
#include <system_error>
#include <utility>

#include "base/files.h"
#include "media/clip.h"
#include "media/pixel_ops.h"
#include "media/video_frame.h"
#include "media/video_sampling.h"
#include "media/video_source.h"
#include "pippin/error.h"

namespace pippin {
namespace media {
namespace {

using Bytes = std::span<const std::uint8_t>;
using Times = std::vector<std::int64_t>;  // in the stream's time base

[[noreturn]] void refuse(const std::string& why) {
  throw Error(Code::invalid_argument, "[video] " + why);
}

[[noreturn]] void too_large(const std::string& what, std::int64_t most, std::int64_t got) {
  throw Error(Code::payload_too_large, "[video] " + what + " at most " + std::to_string(most) +
                                           ", got " + std::to_string(got));
}

std::int64_t time_of(const AVPacket& packet) {
  return packet.pts != AV_NOPTS_VALUE ? packet.pts : packet.dts;
}

// What the packets tell of a clip.
struct Timeline {
  Times times;      // when each frame is shown, in order
  Times keys;       // of these, where decoding may begin
  double rate = 0;  // frames a second
};

// From the first frame to the end of the last one: headers may count from elsewhere.
double seconds_of(const AVStream& stream, const Times& times, std::int64_t last_duration) {
  return (static_cast<double>(times.back()) - static_cast<double>(times.front()) +
          static_cast<double>(last_duration)) *
         av_q2d(stream.time_base);
}

void check_seconds(double seconds, const VideoLimits& limits) {
  if (seconds > limits.max_seconds)
    throw Error(Code::payload_too_large, "[video] at most " + std::to_string(limits.max_seconds) +
                                             " seconds are allowed, got " +
                                             std::to_string(seconds));
}

// By when the frames are shown; 0 where that is not known.
double measured_rate(const AVStream& stream, const Times& times, std::int64_t last_duration) {
  const double seconds = seconds_of(stream, times, last_duration);
  const auto num_frames = static_cast<double>(times.size()) - (last_duration > 0 ? 0 : 1);
  return seconds > 0 && num_frames > 0 ? num_frames / seconds : 0;
}

// As the file says, where the frames agree: FFmpeg guesses at files that say nothing, and may be wrong by a factor.
double rate_of(const AVStream& stream, const Times& times, std::int64_t last_duration) {
  constexpr double unknown = 24;  // as transformers takes a clip that says nothing
  constexpr double tolerance = 0.1;
  const double measured = measured_rate(stream, times, last_duration);
  const bool says = stream.avg_frame_rate.num > 0 && stream.avg_frame_rate.den > 0;
  if (!says) return measured > 0 ? measured : unknown;
  const double said = av_q2d(stream.avg_frame_rate);
  return measured > 0 && std::abs(said - measured) > tolerance * measured ? measured : said;
}

void sort_unique(Times& times) {
  std::sort(times.begin(), times.end());
  times.erase(std::unique(times.begin(), times.end()), times.end());
}

Timeline read_timeline(VideoSource& source, const VideoLimits& limits) {
  const Ffmpeg<AVPacket> packet(av_packet_alloc());
  Timeline timeline;
  std::int64_t num_packets = 0, last_duration = 0;
  while (source.read(*packet)) {
    if (++num_packets > limits.max_frames) too_large("frames:", limits.max_frames, num_packets);
    if (packet->flags & AV_PKT_FLAG_DISCARD) continue;  // cut off by an edit list
    const std::int64_t time = time_of(*packet);
    if (time == AV_NOPTS_VALUE) refuse("the file has frames without a time");
    timeline.times.push_back(time);
    if (packet->flags & AV_PKT_FLAG_KEY) timeline.keys.push_back(time);
    last_duration = std::max<std::int64_t>(packet->duration, 0);
  }
  if (timeline.times.empty()) refuse("the file has no frames");
  if (num_packets < source.stream().nb_frames) refuse("the file is truncated");
  sort_unique(timeline.times);
  sort_unique(timeline.keys);
  check_seconds(seconds_of(source.stream(), timeline.times, last_duration), limits);
  timeline.rate = rate_of(source.stream(), timeline.times, last_duration);
  return timeline;
}

Ffmpeg<AVCodecContext> open_decoder(const AVStream& stream, const VideoLimits& limits) {
  const AVCodec* codec = avcodec_find_decoder(stream.codecpar->codec_id);
  Ffmpeg<AVCodecContext> decoder(codec != nullptr ? avcodec_alloc_context3(codec) : nullptr);
  if (!decoder)
    refuse("no decoder for " + std::string(avcodec_get_name(stream.codecpar->codec_id)));
  avcodec_parameters_to_context(decoder.get(), stream.codecpar);
  decoder->pkt_timebase = stream.time_base;
  decoder->thread_count = 1;  // several requests are decoded at once already
  decoder->max_pixels = limits.max_frame_pixels;
  AVDictionary* options = nullptr;
  av_dict_set(&options, "codec_whitelist", kVideoDecoders, 0);
  const int opened = avcodec_open2(decoder.get(), codec, &options);
  av_dict_free(&options);
  if (opened < 0) fail_video("decode this kind of video", opened);
  return decoder;
}

// Decodes the frames that are shown at `wanted` (ascending; a time that comes twice gives its frame
// twice). Owns a demuxer and a decoder. Used by one thread, for one clip.
class FrameReader {
 public:
  FrameReader(Bytes bytes, const VideoLimits& limits, const Watch& watch,
              std::pair<std::int64_t, std::int64_t> size, const Times& keys, const Times& wanted)
      : watch_(watch),
        size_(size),
        keys_(keys),
        wanted_(wanted),
        source_(bytes, limits, watch),
        decoder_(open_decoder(source_.stream(), limits)),
        packet_(av_packet_alloc()),
        frame_(av_frame_alloc()) {
    if (!packet_ || !frame_) throw std::bad_alloc();
  }

  std::vector<Pixels> read() {
    while (!done() && source_.read(*packet_))
      if (!passes_over(*packet_)) decode(packet_.get());
    if (!done()) decode(nullptr);  // gives out what the decoder still holds
    if (frames_.empty()) refuse("no frame of the file can be decoded");
    // A file may end with packets that are never shown (VP8's references).
    while (!done()) frames_.push_back(Pixels(frames_.back()));
    return std::move(frames_);
  }

 private:
  bool done() const { return frames_.size() == wanted_.size(); }
  std::int64_t next() const { return wanted_[frames_.size()]; }

  // Whether all that is still wanted follows from a later key frame, so that this one is not needed.
  bool passes_over(const AVPacket& packet) {
    const auto after = std::upper_bound(keys_.begin(), keys_.end(), next());
    // A GIF's frames build on each other, whatever they are marked as.
    if (after == keys_.begin() || decoder_->codec_id == AV_CODEC_ID_GIF) return false;
    const std::int64_t key = *std::prev(after);
    const bool is_key = packet.flags & AV_PKT_FLAG_KEY;
    if (key > begun_) {
      if (!is_key || time_of(packet) != key) return true;
      avcodec_flush_buffers(decoder_.get());
    }
    if (is_key) begun_ = std::max(begun_, time_of(packet));
    return false;
  }

  void decode(const AVPacket* packet) {
    if (const int sent = avcodec_send_packet(decoder_.get(), packet); sent < 0)
      fail_video("decode the video", sent);
    while (!done()) {
      watch_.check("video");
      const int got = avcodec_receive_frame(decoder_.get(), frame_.get());
      if (got == AVERROR(EAGAIN) || got == AVERROR_EOF) return;
      if (got < 0) fail_video("decode the video", got);
      if (frame_->best_effort_timestamp >= next()) take();
    }
  }

  void take() {
    check_size();
    frames_.push_back(oriented(convert_(*frame_), source_.orientation()));
    while (!done() && next() <= frame_->best_effort_timestamp)
      frames_.push_back(Pixels(frames_.back()));
  }

  // Its memory was asked for by the size that the headers tell.
  void check_size() {
    if (size_ != std::pair{std::int64_t{frame_->height}, std::int64_t{frame_->width}})
      refuse("the frames' size changes in mid-clip");
  }

  const Watch& watch_;
  const std::pair<std::int64_t, std::int64_t> size_;
  const Times& keys_;
  const Times& wanted_;
  VideoSource source_;
  Ffmpeg<AVCodecContext> decoder_;
  Ffmpeg<AVPacket> packet_;
  Ffmpeg<AVFrame> frame_;
  FrameConverter convert_;
  std::vector<Pixels> frames_;
  std::int64_t begun_ = std::numeric_limits<std::int64_t>::min();  // the last key frame decoded
};

void check_bytes(std::uintmax_t size, const VideoLimits& limits) {
  if (size > static_cast<std::uintmax_t>(limits.max_bytes))
    too_large("bytes of a video:", limits.max_bytes, static_cast<std::int64_t>(size));
}

void check_pixels(std::int64_t pixels, std::size_t count, const VideoLimits& limits) {
  const auto all = pixels * static_cast<std::int64_t>(count);
  if (all > limits.max_pixels)
    too_large(
        "pixels of the " + std::to_string(count) + " sampled frames (lower fps or max_frames):",
        limits.max_pixels, all);
}

}  // namespace

Clip::Clip(Bytes bytes, const VideoSampling& sampling, VideoLimits limits)
    : bytes_(bytes), limits_(std::move(limits)) {
  check_bytes(bytes.size(), limits_);
  const Watch watch(limits_.max_decode_seconds, limits_.wanted);
  VideoSource source(bytes, limits_, watch);
  Timeline timeline = read_timeline(source, limits_);
  audio_tracks_ = source.audio_tracks();
  size_ = {source.stream().codecpar->height, source.stream().codecpar->width};
  if (size_.first < 1 || size_.second < 1) refuse("the size of its frames is not known");
  for (const std::int64_t index :
       sample_frames(static_cast<std::int64_t>(timeline.times.size()), timeline.rate, sampling)) {
    wanted_.push_back(timeline.times[static_cast<std::size_t>(index)]);
    seconds_.push_back(static_cast<double>(index) / timeline.rate);
  }
  keys_ = std::move(timeline.keys);
  check_pixels(size_.first * size_.second, wanted_.size(), limits_);
  limits_.max_decode_seconds = watch.left();
}

PictureCost Clip::cost() const {
  // A decoder's frames (some eight that others refer to, at 12 bits a pixel) and one on its way to RGB.
  constexpr std::int64_t decoder_bytes = 20;  // a pixel
  const std::int64_t pixels = size_.first * size_.second;
  return {3 * pixels * static_cast<std::int64_t>(wanted_.size()), decoder_bytes * pixels};
}

Video Clip::decode() const {
  const Watch watch(limits_.max_decode_seconds, limits_.wanted);
  Video video;
  video.audio_tracks = audio_tracks_;
  video.seconds = seconds_;
  video.frames = FrameReader(bytes_, limits_, watch, size_, keys_, wanted_).read();
  return video;
}

}  // namespace media

Video decode_video(std::span<const std::uint8_t> bytes, const VideoSampling& sampling,
                   const VideoLimits& limits) {
  return media::Clip(bytes, sampling, limits).decode();
}

Video load_video(const std::filesystem::path& file, const VideoSampling& sampling,
                 const VideoLimits& limits) {
  std::error_code error;
  const std::uintmax_t size = std::filesystem::file_size(file, error);
  if (error)
    throw Error(Code::not_found,
                "[load_video] cannot read " + file.string() + ": " + error.message());
  media::check_bytes(size, limits);
  return decode_video(read_file(file), sampling, limits);
}

Video make_video(std::vector<Pixels> frames, double fps) {
  if (frames.empty()) media::refuse("a video needs at least one picture");
  if (!(fps > 0 && fps <= 1000)) media::refuse("fps must be above 0 and at most 1000");
  Video video;
  for (const Pixels& frame : frames) {
    if (frame.height != frames[0].height || frame.width != frames[0].width)
      media::refuse("the pictures of a video must have one size");
    video.seconds.push_back(static_cast<double>(video.seconds.size()) / fps);
  }
  video.frames = std::move(frames);
  return video;
}

}  // namespace pippin
