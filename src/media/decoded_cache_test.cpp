#include "media/clip_cache.h"

#include <gtest/gtest.h>

#include "base/files.h"
#include "media/testing.h"
#include "pippin/error.h"

namespace pippin::media {
namespace {

const std::filesystem::path kClips = kTestdata / "video";
constexpr std::int64_t kFrameBytes = 30 * 44 * 3;

TEST(ClipCache, DecodesAFileOnce) {
  ClipCache cache(1 << 20);
  const auto h264 = read_file(kClips / "h264.mp4"), vp9 = read_file(kClips / "vp9.webm");
  const auto first = cache.decode(h264, {}, {});
  EXPECT_EQ(first->frames, decode_video(h264).frames);
  EXPECT_EQ(cache.decode(std::vector<std::uint8_t>(h264), {}, {}), first);
  EXPECT_NE(cache.decode(vp9, {}, {}), first);
  EXPECT_EQ(cache.decode(h264, {.num_frames = 2}, {})->frames.size(), 2u);
  EXPECT_EQ(cache.decode(h264, {}, {}), first);
  cache.clear();
  EXPECT_NE(cache.decode(h264, {}, {}), first);
}

TEST(ClipCache, KeepsTheLastUsedWithinItsBytes) {
  ClipCache cache(9 * kFrameBytes);
  const auto clip = read_file(kClips / "h264.mp4");
  const auto decode = [&](int frames) { return cache.decode(clip, {.num_frames = frames}, {}); };
  const auto three = decode(3), four = decode(4);
  EXPECT_EQ(decode(3), three);
  const auto five = decode(5);  // in place of the four
  EXPECT_EQ(decode(3), three);
  EXPECT_EQ(decode(5), five);
  EXPECT_NE(decode(4), four);
  const auto ten = decode(10);  // never fits, and drives nothing out
  EXPECT_NE(decode(10), ten);
  EXPECT_EQ(decode(5), five);
  ClipCache none(0);
  EXPECT_NE(none.decode(clip, {}, {}), none.decode(clip, {}, {}));
}

TEST(ClipCache, HoldsKnownClipsToTheLimits) {
  ClipCache cache(1 << 20);
  const auto clip = read_file(kClips / "h264.mp4");
  cache.decode(clip, {}, {});
  EXPECT_THROW(cache.decode(clip, {}, {.max_pixels = 100}), Error);
}

}  // namespace
}  // namespace pippin::media
