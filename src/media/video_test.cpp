// Oracle: FFmpeg's own command (of the transparent GIF: Pillow). tools/media/make_videos.py wrote each
// clip of testdata/video and, as .ppm beside it, all of its frames one below the other.
#include "pippin/video.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <optional>
#include <random>
#include <string>

#include "base/files.h"
#include "media/testing.h"
#include "pippin/error.h"

namespace pippin::media {
namespace {

namespace fs = std::filesystem;
using Bytes = std::vector<std::uint8_t>;

const fs::path kClips = kTestdata / "video";
const VideoSampling kEveryFrame{.fps = 1000, .min_frames = 1};

// All versions of FFmpeg decode these formats to the same samples; conversion to RGB may round otherwise.
constexpr int kRounding = 2;

std::vector<fs::path> clips() {
  std::vector<fs::path> files;
  for (const auto& entry : fs::directory_iterator(kClips))
    if (entry.path().extension() != ".ppm") files.push_back(entry.path());
  std::sort(files.begin(), files.end());
  return files;
}

int max_difference(const Pixels& frame, const std::uint8_t* expected) {
  int most = 0;
  for (const std::uint8_t value : frame.rgb) most = std::max(most, std::abs(value - *expected++));
  return most;
}

// The frame of `strip` that `frame` shows, or -1.
int index_in(const Pixels& strip, const Pixels& frame) {
  for (std::size_t at = 0; at + frame.rgb.size() <= strip.rgb.size(); at += frame.rgb.size())
    if (max_difference(frame, strip.rgb.data() + at) <= kRounding)
      return static_cast<int>(at / frame.rgb.size());
  return -1;
}

std::optional<Code> error_of(const Bytes& bytes, const VideoLimits& limits = {},
                             const VideoSampling& sampling = {}) {
  try {
    decode_video(bytes, sampling, limits);
    return std::nullopt;
  } catch (const Error& error) {
    EXPECT_EQ(error.field(), "");
    return error.code();
  }
}

TEST(DecodeVideo, ShowsWhatFfmpegShows) {
  ASSERT_GT(clips().size(), 8u);
  for (const fs::path& file : clips()) {
    SCOPED_TRACE(file.filename());
    const Pixels strip = read_ppm(file.string() + ".ppm");
    const Video video = load_video(file, kEveryFrame);
    ASSERT_EQ(video.frames[0].width, strip.width);
    ASSERT_EQ(video.frames.size() * static_cast<std::size_t>(video.frames[0].height),
              static_cast<std::size_t>(strip.height));
    ASSERT_EQ(video.seconds.size(), video.frames.size());
    const std::uint8_t* expected = strip.rgb.data();
    for (const Pixels& frame : video.frames) {
      EXPECT_LE(max_difference(frame, expected), kRounding);
      expected += frame.rgb.size();
    }
  }
}

TEST(DecodeVideo, TakesTheSampledFrames) {
  const Pixels strip = read_ppm(kClips / "h264.mp4.ppm");
  // 20 frames at 10 a second; sampled by 2: at indices 0, 6, 13, 19.
  const Video two = load_video(kClips / "h264.mp4");
  std::vector<int> shown;
  for (const Pixels& frame : two.frames) shown.push_back(index_in(strip, frame));
  EXPECT_EQ(shown, (std::vector<int>{0, 6, 13, 19}));
  EXPECT_EQ(two.seconds, (std::vector<double>{0, 0.6, 1.3, 1.9}));

  const Video repeated = load_video(kClips / "turned90.mp4", {.num_frames = 5});
  EXPECT_EQ(repeated.frames.size(), 5u);  // of three frames
  EXPECT_EQ(repeated.frames[0], repeated.frames[1]);
}

// Frames are decoded from the nearest key frame on: the same as when all before are decoded, too.
TEST(DecodeVideo, ASampledFrameIsTheSameAsInAll) {
  for (const char* name : {"h264.mp4", "vp9.webm", "transparent.gif", "hevc.mp4"}) {
    const Video all = load_video(kClips / name, kEveryFrame);
    for (int n = 1; n <= static_cast<int>(all.frames.size()); ++n) {
      const Video some = load_video(kClips / name, {.num_frames = n});
      for (std::size_t i = 0; i < some.frames.size(); ++i) {
        const auto at = std::find(all.seconds.begin(), all.seconds.end(), some.seconds[i]);
        ASSERT_NE(at, all.seconds.end());
        EXPECT_EQ(some.frames[i], all.frames[static_cast<std::size_t>(at - all.seconds.begin())])
            << name << " " << n << " " << i;
      }
    }
  }
}

TEST(DecodeVideo, KnowsTheRate) {
  EXPECT_DOUBLE_EQ(load_video(kClips / "bt709.mov", kEveryFrame).seconds[3], 3 * 1001 / 30000.0);
  EXPECT_DOUBLE_EQ(load_video(kClips / "vp9.webm", kEveryFrame).seconds[5], 0.2);
  // 5 frames in 1.5 seconds, of whatever length each: the mean counts.
  EXPECT_NEAR(load_video(kClips / "transparent.gif", kEveryFrame).seconds[4], 1.2, 0.05);
}

TEST(DecodeVideo, CountsAudioTracks) {
  EXPECT_EQ(load_video(kClips / "h264.mp4").audio_tracks, 1);
  EXPECT_EQ(load_video(kClips / "vp8.webm").audio_tracks, 1);
  EXPECT_EQ(load_video(kClips / "vp9.webm").audio_tracks, 0);
}

TEST(DecodeVideo, HoldsToTheLimits) {
  const Bytes clip = read_file(kClips / "h264.mp4");
  EXPECT_EQ(error_of(clip), std::nullopt);
  const auto size = static_cast<std::int64_t>(clip.size());
  EXPECT_EQ(error_of(clip, {.max_bytes = size - 1}), Code::payload_too_large);
  EXPECT_EQ(error_of(clip, {.max_seconds = 1.5}), Code::payload_too_large);
  EXPECT_EQ(error_of(clip, {.max_frames = 19}), Code::payload_too_large);
  EXPECT_EQ(error_of(clip, {.max_frame_pixels = 30 * 44 - 1}), Code::payload_too_large);
  EXPECT_EQ(error_of(clip, {.max_pixels = 4 * 30 * 44 - 1}), Code::payload_too_large);
  EXPECT_EQ(error_of(clip, {.max_pixels = 4 * 30 * 44}), std::nullopt);
  EXPECT_EQ(error_of(clip, {.max_decode_seconds = 0}), Code::payload_too_large);
}

TEST(DecodeVideo, RefusesWhatIsNoVideo) {
  EXPECT_EQ(error_of({}), Code::invalid_argument);
  EXPECT_EQ(error_of(read_file(kTestdata / "rgb.png")), Code::invalid_argument);
  // What FFmpeg would follow to other files: playlists and lists of files.
  for (const std::string text :
       {"#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n", "ffconcat version 1.0\nfile '/etc/passwd'\n"})
    EXPECT_EQ(error_of(Bytes(text.begin(), text.end())), Code::invalid_argument);
  EXPECT_EQ(error_of(read_file(kClips / "h264.mp4"), {}, {.fps = 0}), Code::invalid_argument);
}

TEST(DecodeVideo, RefusesTruncatedFiles) {
  for (const fs::path& file : clips()) {
    const Bytes bytes = read_file(file);
    const Video whole = decode_video(bytes, kEveryFrame);
    int num_refused = 0;
    for (std::size_t size = 0; size < bytes.size();
         size += std::max<std::size_t>(bytes.size() / 64, 1)) {
      try {
        // Formats that don't say how long they are may end early, with whole frames.
        const Video cut = decode_video({bytes.data(), size}, kEveryFrame);
        ASSERT_LE(cut.frames.size(), whole.frames.size());
        for (std::size_t i = 0; i + 1 < cut.frames.size(); ++i)
          EXPECT_EQ(cut.frames[i], whole.frames[i]) << file.filename() << " cut to " << size;
      } catch (const Error& error) {
        EXPECT_EQ(error.code(), Code::invalid_argument) << error.what();
        ++num_refused;
      }
    }
    EXPECT_GT(num_refused, 8) << file.filename();
  }
}

// Damaged files may decode to something, but nothing except Error may come out (run under ASan).
TEST(DecodeVideo, SurvivesBitFlips) {
  std::mt19937 random(20261);
  const VideoLimits limits{.max_frames = 1000,
                           .max_frame_pixels = 1 << 16,
                           .max_pixels = 1 << 20,
                           .max_decode_seconds = 5};
  for (const fs::path& file : clips()) {
    const Bytes bytes = read_file(file);
    for (int round = 0; round < 100; ++round) {
      Bytes damaged = bytes;
      for (int flip = 0; flip <= round % 4; ++flip)
        damaged[random() % damaged.size()] ^= static_cast<std::uint8_t>(1u << random() % 8);
      try {
        const Video video = decode_video(damaged, {}, limits);
        EXPECT_EQ(video.frames.size(), video.seconds.size());
        for (const Pixels& frame : video.frames)
          EXPECT_EQ(frame.rgb.size(), std::size_t{3} * frame.height * frame.width);
      } catch (const Error& error) {
        EXPECT_TRUE(error.code() == Code::invalid_argument ||
                    error.code() == Code::payload_too_large)
            << file.filename() << ": " << error.what();
      }
    }
  }
}

TEST(LoadVideo, NamesAMissingFile) {
  try {
    load_video(kClips / "missing.mp4");
    FAIL() << "expected an Error";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Code::not_found);
    EXPECT_NE(std::string(error.what()).find("missing.mp4"), std::string::npos);
  }
}

TEST(MakeVideo, SpacesPicturesByTheirRate) {
  const Pixels dark{1, 1, {0, 0, 0}}, light{1, 1, {255, 255, 255}};
  const Video video = make_video({dark, light, dark}, 4);
  EXPECT_EQ(video.frames, (std::vector<Pixels>{dark, light, dark}));
  EXPECT_EQ(video.seconds, (std::vector<double>{0, 0.25, 0.5}));
  EXPECT_THROW(make_video({}, 2), Error);
  EXPECT_THROW(make_video({dark}, 0), Error);
  EXPECT_THROW(make_video({dark, {1, 2, {0, 0, 0, 1, 1, 1}}}, 2), Error);
}

// Found by fuzzing; the sanitizers' build sees what becomes of the value.
TEST(DecodeVideo, TakesAColourMatrixOfNoStandardForNone) {
  const Bytes bytes = read_file(kTestdata / "../../../fuzz/corpus/videos/matrix_of_no_standard");
  EXPECT_EQ(error_of(bytes), std::nullopt);
}

}  // namespace
}  // namespace pippin::media
