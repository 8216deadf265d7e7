#include "media/decoded_cache.h"

#include <gtest/gtest.h>

#include "base/files.h"
#include "media/testing.h"
#include "pippin/error.h"

namespace pippin::media {
namespace {

const std::filesystem::path kClips = kTestdata / "video";
constexpr std::int64_t kFrameBytes = 30 * 44 * 3;

TEST(DecodedCache, DecodesAFileOnce) {
  DecodedCache cache(1 << 20);
  const auto h264 = read_file(kClips / "h264.mp4"), vp9 = read_file(kClips / "vp9.webm");
  const auto first = cache.video(h264, {}, {});
  EXPECT_EQ(first->frames, decode_video(h264).frames);
  EXPECT_EQ(cache.video(std::vector<std::uint8_t>(h264), {}, {}), first);
  EXPECT_NE(cache.video(vp9, {}, {}), first);
  EXPECT_EQ(cache.video(h264, {.num_frames = 2}, {})->frames.size(), 2u);
  EXPECT_EQ(cache.video(h264, {}, {}), first);
  cache.clear();
  EXPECT_NE(cache.video(h264, {}, {}), first);
}

TEST(DecodedCache, KeepsTheLastUsedWithinItsBytes) {
  DecodedCache cache(9 * kFrameBytes);
  const auto clip = read_file(kClips / "h264.mp4");
  const auto decode = [&](int frames) { return cache.video(clip, {.num_frames = frames}, {}); };
  const auto three = decode(3), four = decode(4);
  EXPECT_EQ(decode(3), three);
  const auto five = decode(5);  // in place of the four
  EXPECT_EQ(decode(3), three);
  EXPECT_EQ(decode(5), five);
  EXPECT_NE(decode(4), four);
  const auto ten = decode(10);  // never fits, and drives nothing out
  EXPECT_NE(decode(10), ten);
  EXPECT_EQ(decode(5), five);
  DecodedCache none(0);
  EXPECT_NE(none.video(clip, {}, {}), none.video(clip, {}, {}));
}

TEST(DecodedCache, HoldsKnownClipsToTheLimits) {
  DecodedCache cache(1 << 20);
  const auto clip = read_file(kClips / "h264.mp4");
  cache.video(clip, {}, {});
  EXPECT_THROW(cache.video(clip, {}, {.max_pixels = 100}), Error);
}

TEST(DecodedCache, DecodesAPictureOnce) {
  DecodedCache cache(1 << 20);
  const auto file = read_file(kTestdata / "420.jpg");
  const auto first = cache.picture(file, {});
  EXPECT_EQ(*first, decode_image(file));
  EXPECT_EQ(cache.picture(std::vector<std::uint8_t>(file), {}), first);
  EXPECT_THROW(cache.picture(file, {.max_pixels = 100}), Error);
  EXPECT_THROW(cache.picture(file, {.max_bytes = 100}), Error);
  EXPECT_EQ(cache.picture(file, {}), first);
}

TEST(DecodedCache, TellsAPictureFromAClipOfOneFile) {
  DecodedCache cache(1 << 20);
  const auto file = read_file(kTestdata / "animated.gif");
  const auto clip = cache.video(file, {}, {});
  const auto picture = cache.picture(file, {});
  EXPECT_EQ(*picture, decode_image(file));
  EXPECT_EQ(cache.video(file, {}, {}), clip);
}

TEST(DecodedCache, KeepsPicturesAndClipsWithinTheSameBytes) {
  const auto file = read_file(kTestdata / "420.jpg"), clip = read_file(kClips / "h264.mp4");
  const auto picture_bytes = static_cast<std::int64_t>(decode_image(file).rgb.size());
  DecodedCache cache(picture_bytes + 2 * kFrameBytes - 1);
  const auto picture = cache.picture(file, {});
  cache.video(clip, {.num_frames = 2}, {});  // in place of the picture
  EXPECT_NE(cache.picture(file, {}), picture);
}

}  // namespace
}  // namespace pippin::media
