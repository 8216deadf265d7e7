#include "media/video_source.h"

extern "C" {
#include <libavutil/display.h>
#include <libavutil/error.h>
#include <libavutil/log.h>
#include <libavutil/mem.h>
}

#include <algorithm>
#include <cstring>
#include <memory>
#include <mutex>
#include <new>
#include <string>
#include <string_view>

#include "pippin/error.h"

namespace pippin::media {

const char* const kVideoDecoders = "h264,hevc,vp8,vp9,libdav1d,av1,mpeg4,mjpeg,prores,gif";

namespace {

// That FFmpeg may ask for at once.
constexpr std::size_t max_block = std::size_t{512} << 20;

// FFmpeg has one code for a file that asks for more and for a system that has no memory left; there, no block of that size is had.
bool memory_is_short() {
  const std::unique_ptr<char[]> block(new (std::nothrow) char[max_block]);
  return block == nullptr;
}

}  // namespace

void fail_video(const char* doing, int code) {
  if (code == AVERROR(ENOMEM) && memory_is_short()) throw std::bad_alloc();
  char why[AV_ERROR_MAX_STRING_SIZE] = {};
  av_strerror(code, why, sizeof(why));
  throw Error(Code::invalid_argument, std::string("[video] cannot ") + doing + ": " + why);
}

namespace {

// FFmpeg's own switches hold for the process: headers may ask for no more memory at once than frames
// within the limits need, and damaged files are reported by errors, not on the terminal.
void set_up_ffmpeg() {
  static std::once_flag once;
  std::call_once(once, [] {
    av_max_alloc(max_block);
    av_log_set_level(AV_LOG_QUIET);
  });
}

[[noreturn]] void too_large(const std::string& what) {
  throw Error(Code::payload_too_large, "[video] " + what);
}

bool has_at(std::span<const std::uint8_t> bytes, std::size_t at, std::string_view magic) {
  return bytes.size() >= at + magic.size() &&
         std::memcmp(bytes.data() + at, magic.data(), magic.size()) == 0;
}

const AVInputFormat* demuxer_of(std::span<const std::uint8_t> bytes) {
  const auto is_box = [&](std::string_view kind) { return has_at(bytes, 4, kind); };
  if (has_at(bytes, 0, "\x1a\x45\xdf\xa3")) return av_find_input_format("matroska");
  if (has_at(bytes, 0, "GIF8")) return av_find_input_format("gif");
  if (is_box("ftyp") || is_box("moov") || is_box("mdat") || is_box("free") || is_box("skip") ||
      is_box("wide"))
    return av_find_input_format("mov");
  throw Error(Code::invalid_argument,
              "[video] expected an MP4, MOV, WebM, Matroska or GIF file, got " +
                  std::to_string(bytes.size()) + " bytes that begin like none of them");
}

int open_nothing(AVFormatContext*, AVIOContext**, const char*, int, AVDictionary**) {
  return AVERROR(EPERM);
}

// Side data moved from the stream to its codec's parameters in FFmpeg 6.1.
const std::int32_t* display_matrix(const AVStream& stream) {
#if LIBAVCODEC_VERSION_INT >= AV_VERSION_INT(60, 30, 100)
  const AVCodecParameters& codec = *stream.codecpar;
  const AVPacketSideData* side = av_packet_side_data_get(
      codec.coded_side_data, codec.nb_coded_side_data, AV_PKT_DATA_DISPLAYMATRIX);
  const std::uint8_t* data = side != nullptr ? side->data : nullptr;
  const std::size_t size = side != nullptr ? side->size : 0;
#else
  std::size_t size = 0;
  const std::uint8_t* data = av_stream_get_side_data(&stream, AV_PKT_DATA_DISPLAYMATRIX, &size);
#endif
  return size >= 9 * sizeof(std::int32_t) ? reinterpret_cast<const std::int32_t*>(data) : nullptr;
}

}  // namespace

VideoSource::VideoSource(std::span<const std::uint8_t> bytes, const VideoLimits& limits,
                         const Watch& watch)
    : bytes_(bytes), watch_(watch) {
  set_up_ffmpeg();
  open(limits);
  choose_stream(limits);
}

void VideoSource::open(const VideoLimits& limits) {
  const AVInputFormat* demuxer = demuxer_of(bytes_);
  constexpr int kBuffer = 1 << 16;
  io_.reset(avio_alloc_context(static_cast<unsigned char*>(av_malloc(kBuffer)), kBuffer, 0, this,
                               on_read, nullptr, on_seek));
  AVFormatContext* format = avformat_alloc_context();
  if (!io_ || format == nullptr) throw std::bad_alloc();
  format->pb = io_.get();
  format->flags |= AVFMT_FLAG_CUSTOM_IO;
  format->io_open = open_nothing;
  format->interrupt_callback = {
      [](void* self) { return static_cast<int>(static_cast<VideoSource*>(self)->watch_.over()); },
      this};
  format->max_streams = 64;
  format->codec_whitelist = av_strdup(kVideoDecoders);
  format->protocol_whitelist = av_strdup("none");
  const int opened = avformat_open_input(&format, "", demuxer, nullptr);
  format_.reset(format);  // null where it failed: FFmpeg has freed it
  watch_.check("video");
  if (opened < 0) fail_video("open the file", opened);

  // Fills in what headers leave out (the frame rate, mostly) by decoding a few frames.
  std::vector<AVDictionary*> options(format->nb_streams, nullptr);
  for (AVDictionary*& option : options)
    av_dict_set_int(&option, "max_pixels", limits.max_frame_pixels, 0);
  const int found = avformat_find_stream_info(format, options.data());
  for (AVDictionary*& option : options) av_dict_free(&option);
  watch_.check("video");
  if (found < 0) fail_video("read the headers", found);
}

void VideoSource::choose_stream(const VideoLimits& limits) {
  stream_ = av_find_best_stream(format_.get(), AVMEDIA_TYPE_VIDEO, -1, -1, nullptr, 0);
  if (stream_ < 0) throw Error(Code::invalid_argument, "[video] the file has no video in it");
  for (unsigned i = 0; i < format_->nb_streams; ++i)
    if (static_cast<int>(i) != stream_) format_->streams[i]->discard = AVDISCARD_ALL;
  const AVCodecParameters& codec = *stream().codecpar;
  const auto pixels = std::int64_t{std::max(codec.width, 0)} * std::max(codec.height, 0);
  if (pixels > limits.max_frame_pixels)
    too_large("a frame may have at most " + std::to_string(limits.max_frame_pixels) +
              " pixels, got " + std::to_string(codec.width) + " x " + std::to_string(codec.height));
  if (stream().nb_frames > limits.max_frames)
    too_large("at most " + std::to_string(limits.max_frames) + " frames are allowed, got " +
              std::to_string(stream().nb_frames));
}

int VideoSource::on_read(void* opaque, std::uint8_t* out, int size) {
  auto& self = *static_cast<VideoSource*>(opaque);
  if (self.watch_.over()) return AVERROR_EXIT;
  const auto left = static_cast<std::int64_t>(self.bytes_.size()) - self.at_;
  const auto count = std::min<std::int64_t>(size, left);
  if (count <= 0) return AVERROR_EOF;
  std::memcpy(out, self.bytes_.data() + self.at_, static_cast<std::size_t>(count));
  self.at_ += count;
  return static_cast<int>(count);
}

std::int64_t VideoSource::on_seek(void* opaque, std::int64_t offset, int whence) {
  auto& self = *static_cast<VideoSource*>(opaque);
  const auto size = static_cast<std::int64_t>(self.bytes_.size());
  whence &= ~AVSEEK_FORCE;
  if (whence == AVSEEK_SIZE) return size;
  if (whence == SEEK_CUR) offset += self.at_;
  if (whence == SEEK_END) offset += size;
  if (offset < 0 || offset > size) return AVERROR(EINVAL);
  return self.at_ = offset;
}

bool VideoSource::read(AVPacket& packet) {
  for (;;) {
    av_packet_unref(&packet);
    const int got = av_read_frame(format_.get(), &packet);
    watch_.check("video");
    if (got == AVERROR_EOF) return false;
    if (got < 0) fail_video("read the file", got);
    if (packet.stream_index != stream_) continue;
    if (packet.flags & AV_PKT_FLAG_CORRUPT)
      throw Error(Code::invalid_argument, "[video] the file is truncated or damaged");
    return true;
  }
}

int VideoSource::audio_tracks() const {
  return static_cast<int>(std::count_if(
      format_->streams, format_->streams + format_->nb_streams,
      [](const AVStream* stream) { return stream->codecpar->codec_type == AVMEDIA_TYPE_AUDIO; }));
}

// Stored (x, y) is shown at (a x + c y, b x + d y), in 16.16 fixed point: turns by whole right angles.
int VideoSource::orientation() const {
  const std::int32_t* matrix = display_matrix(stream());
  if (matrix == nullptr) return 1;
  const std::int32_t a = matrix[0], b = matrix[1], c = matrix[3], d = matrix[4];
  if (a != 0 && d != 0 && b == 0 && c == 0) return a > 0 ? (d > 0 ? 1 : 4) : (d > 0 ? 2 : 3);
  if (b != 0 && c != 0 && a == 0 && d == 0) return b > 0 ? (c > 0 ? 5 : 6) : (c > 0 ? 8 : 7);
  return 1;
}

}  // namespace pippin::media
