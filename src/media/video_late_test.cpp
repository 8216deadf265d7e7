// Clips whose first timestamp is late: parts of a recording, or of a live stream. The same frames, written again by FFmpeg's muxers
// with other timestamps, must be the same video.
#include <gtest/gtest.h>

extern "C" {
#include <libavutil/mathematics.h>
}

#include <cstdlib>
#include <filesystem>
#include <stdexcept>
#include <string>
#include <vector>

#include "base/files.h"
#include "media/ffmpeg.h"
#include "media/testing.h"
#include "pippin/error.h"
#include "pippin/video.h"

namespace pippin::media {
namespace {

namespace fs = std::filesystem;

const fs::path kClips = kTestdata / "video";
const VideoSampling kEveryFrame{.fps = 1000, .min_frames = 1};

// A clip and how it is written again.
struct Late {
  const char* clip;
  const char* muxer;
  const char* flags;  // of the MP4 muxers
  bool says_times;    // false: without the lengths of frames and of the whole, as live streams are
};

void PrintTo(const Late& late, std::ostream* out) {
  *out << late.clip << " as " << late.muxer << " " << late.flags
       << (late.says_times ? "" : " live");
}

void require(bool holds, const char* what) {
  if (!holds) throw std::runtime_error(what);
}

Ffmpeg<AVFormatContext> open_input(const fs::path& file) {
  AVFormatContext* input = nullptr;
  require(avformat_open_input(&input, file.c_str(), nullptr, nullptr) >= 0, "no such clip");
  Ffmpeg<AVFormatContext> owned(input);
  require(avformat_find_stream_info(input, nullptr) >= 0, "no clip");
  return owned;
}

// A muxer, freed without its file.
struct FreeMuxer {
  void operator()(AVFormatContext* muxer) const {
    if (muxer->pb != nullptr) avio_closep(&muxer->pb);
    avformat_free_context(muxer);
  }
};
using Muxer = std::unique_ptr<AVFormatContext, FreeMuxer>;

Muxer open_output(const AVFormatContext& input, const Late& late, const fs::path& file) {
  AVFormatContext* muxer = nullptr;
  require(avformat_alloc_output_context2(&muxer, nullptr, late.muxer, file.c_str()) >= 0, "muxer");
  Muxer output(muxer);
  for (unsigned i = 0; i < input.nb_streams; ++i) {
    const AVStream& from = *input.streams[i];
    AVStream& to = *avformat_new_stream(muxer, nullptr);
    require(avcodec_parameters_copy(to.codecpar, from.codecpar) >= 0, "parameters");
    to.codecpar->codec_tag = 0;
    to.time_base = from.time_base;
    if (late.says_times) to.avg_frame_rate = from.avg_frame_rate;
  }
  muxer->avoid_negative_ts = AVFMT_AVOID_NEG_TS_DISABLED;
  require(avio_open(&muxer->pb, file.c_str(), AVIO_FLAG_WRITE) >= 0, "output");
  AVDictionary* options = nullptr;
  if (late.flags[0] != '\0') av_dict_set(&options, "movflags", late.flags, 0);
  if (!late.says_times) av_dict_set(&options, "live", "1", 0);
  const int begun = avformat_write_header(muxer, &options);
  av_dict_free(&options);
  require(begun >= 0, "header");
  return output;
}

// The clip as a file whose timestamps are `seconds` later.
std::vector<std::uint8_t> written_again(const Late& late, std::int64_t seconds) {
  std::string folder = (fs::temp_directory_path() / "pippin-late-XXXXXX").string();
  require(mkdtemp(folder.data()) != nullptr, "temporary folder");
  const fs::path file = fs::path(folder) / "clip";
  {
    const auto input = open_input(kClips / late.clip);
    const Muxer output = open_output(*input, late, file);
    const Ffmpeg<AVPacket> packet(av_packet_alloc());
    while (av_read_frame(input.get(), packet.get()) >= 0) {
      const int index = packet->stream_index;
      const AVRational from = input->streams[index]->time_base;
      const std::int64_t shift = av_rescale_q(seconds, {1, 1}, from);
      packet->pts += shift;
      packet->dts += shift;
      if (!late.says_times) packet->duration = 0;
      av_packet_rescale_ts(packet.get(), from, output->streams[index]->time_base);
      require(av_interleaved_write_frame(output.get(), packet.get()) >= 0, "frame");
    }
    require(av_write_trailer(output.get()) >= 0, "trailer");
  }
  auto bytes = read_file(file);
  fs::remove_all(folder);
  return bytes;
}

void expect_same(const Video& video, const Video& expected) {
  ASSERT_EQ(video.seconds.size(), expected.seconds.size());
  for (std::size_t i = 0; i < video.seconds.size(); ++i) {
    EXPECT_NEAR(video.seconds[i], expected.seconds[i], 0.02) << i;
    EXPECT_TRUE(video.frames[i] == expected.frames[i]) << i;
  }
}

class LateClip : public ::testing::TestWithParam<Late> {};

TEST_P(LateClip, IsTheSameVideo) {
  const fs::path original = kClips / GetParam().clip;
  for (const std::int64_t seconds : {0, 40, 3'600, 100'000}) {
    SCOPED_TRACE(seconds);
    const auto bytes = written_again(GetParam(), seconds);
    expect_same(decode_video(bytes, kEveryFrame), load_video(original, kEveryFrame));
    expect_same(decode_video(bytes), load_video(original));
    expect_same(decode_video(bytes, {.num_frames = 3}), load_video(original, {.num_frames = 3}));
  }
}

// No clip of these lasts over 2.1 s nor under 0.7 s.
TEST_P(LateClip, LastsWhatItLasts) {
  for (const std::int64_t seconds : {0, 3'600, 100'000}) {
    SCOPED_TRACE(seconds);
    const auto bytes = written_again(GetParam(), seconds);
    EXPECT_NO_THROW(decode_video(bytes, {}, {.max_seconds = 2.1}));
    EXPECT_THROW(decode_video(bytes, {}, {.max_seconds = 0.6}), Error);
  }
}

INSTANTIATE_TEST_SUITE_P(
    Containers, LateClip,
    ::testing::Values(Late{"h264.mp4", "mp4", "", true}, Late{"h264.mp4", "mov", "", true},
                      Late{"hevc.mp4", "mp4", "faststart", true},
                      Late{"h264.mp4", "mp4", "frag_keyframe+empty_moov", true},
                      Late{"h264.mp4", "mp4", "frag_keyframe+empty_moov+default_base_moof", false},
                      Late{"h264.mp4", "mp4", "dash+frag_keyframe+delay_moov", true},
                      Late{"vp9.webm", "mp4", "frag_every_frame+empty_moov", true},
                      Late{"h264.mp4", "matroska", "", true},
                      Late{"h264.mp4", "matroska", "", false}, Late{"av1.mkv", "mp4", "", true},
                      Late{"av1.mkv", "matroska", "", false}, Late{"vp9.webm", "webm", "", true},
                      Late{"vp9.webm", "webm", "", false}, Late{"vp9.webm", "mp4", "", true},
                      Late{"vp8.webm", "webm", "", true}, Late{"vp8.webm", "webm", "", false}));

}  // namespace
}  // namespace pippin::media
