#include "media/decoded_cache.h"

#include <gtest/gtest.h>

#include <new>
#include <vector>

#include "base/failing_memory_testing.h"
#include "base/files.h"
#include "media/testing.h"

namespace pippin::media {
namespace {

std::shared_ptr<const Pixels> picture(int width) {
  return std::make_shared<const Pixels>(
      Pixels{1, width, std::vector<std::uint8_t>(static_cast<std::size_t>(width) * 3)});
}

Digest key(int number) {
  const auto byte = static_cast<std::uint8_t>(number);
  return picture_key({&byte, 1});
}

TEST(DecodedCache, KnowsWhatItKeeps) {
  DecodedCache cache(1000);
  const auto first = picture(10);
  EXPECT_EQ(cache.picture(key(1)), nullptr);
  cache.keep(key(1), first);
  EXPECT_EQ(cache.picture(key(1)), first);
  EXPECT_EQ(cache.picture(key(2)), nullptr);
  EXPECT_EQ(cache.stats().entries, 1);
  EXPECT_EQ(cache.stats().bytes, 30);
  cache.clear();
  EXPECT_EQ(cache.picture(key(1)), nullptr);
  EXPECT_EQ(cache.stats().bytes, 0);
}

TEST(DecodedCache, WithoutMemoryItHoldsWhatItHeld) {
  const auto count = for_each_allocation([](std::int64_t number) {
    DecodedCache cache(9 * 3);
    cache.keep(key(4), picture(4));
    cache.keep(key(5), picture(5));
    const auto more = picture(3);
    bool failed = false, told = false;
    {
      const FailingMemory memory(number);
      try {
        cache.keep(key(3), more);
      } catch (const std::bad_alloc&) {
        told = true;
      }
      failed = memory.has_failed();
    }
    EXPECT_EQ(told, failed);
    EXPECT_EQ(cache.picture(key(3)), told ? nullptr : more);
    EXPECT_EQ(cache.picture(key(4)) != nullptr, told) << "it makes room for what is kept alone";
    EXPECT_TRUE(cache.picture(key(5)));
    EXPECT_EQ(cache.stats().bytes, told ? 27 : 24);
    EXPECT_EQ(cache.stats().entries, 2);
    cache.drop_unused(100);
    EXPECT_EQ(cache.stats().bytes, more.use_count() > 1 ? 9 : 0);
    cache.keep(key(3), more);
    EXPECT_EQ(cache.picture(key(3)), more);
    return failed;
  });
  EXPECT_GE(count, 2);
}

TEST(DecodedCache, KeepsTheLastUsedWithinItsBytes) {
  DecodedCache cache(9 * 3);
  cache.keep(key(3), picture(3));
  cache.keep(key(4), picture(4));
  EXPECT_NE(cache.picture(key(3)), nullptr);
  cache.keep(key(5), picture(5));  // in place of the four
  EXPECT_NE(cache.picture(key(3)), nullptr);
  EXPECT_NE(cache.picture(key(5)), nullptr);
  EXPECT_EQ(cache.picture(key(4)), nullptr);
  cache.keep(key(10), picture(10));  // never fits, and drives nothing out
  EXPECT_EQ(cache.picture(key(10)), nullptr);
  EXPECT_NE(cache.picture(key(5)), nullptr);
}

TEST(DecodedCache, GivesUpWhatNobodyUsesOldestFirst) {
  DecodedCache cache(1000);
  const auto used = picture(10);
  cache.keep(key(1), used);
  cache.keep(key(2), picture(10));
  cache.keep(key(3), picture(10));
  cache.drop_unused(1);
  EXPECT_EQ(cache.picture(key(1)), used);
  EXPECT_EQ(cache.picture(key(2)), nullptr);
  EXPECT_NE(cache.picture(key(3)), nullptr);
  cache.drop_unused(1000);
  EXPECT_EQ(cache.picture(key(1)), used);
  EXPECT_EQ(cache.picture(key(3)), nullptr);
}

TEST(DecodedCache, KeysTellFilesKindsAndSamplings) {
  const auto file = read_file(kTestdata / "animated.gif");
  EXPECT_EQ(picture_key(file), picture_key(std::vector<std::uint8_t>(file)));
  EXPECT_NE(picture_key(file), video_key(file, {}));
  EXPECT_NE(video_key(file, {}), video_key(file, {.num_frames = 2}));
  EXPECT_NE(video_key(file, {}), video_key(file, {.fps = 1}));
  EXPECT_NE(picture_key(file), picture_key(read_file(kTestdata / "420.jpg")));
}

TEST(DecodedCache, KeepsPicturesAndClipsWithinTheSameBytes) {
  DecodedCache cache(40);
  const auto clip = std::make_shared<const Video>(Video{{*picture(4), *picture(4)}, {0, 1}, 0});
  cache.keep(key(1), picture(10));
  cache.keep(key(2), clip);  // in place of the picture
  EXPECT_EQ(cache.picture(key(1)), nullptr);
  EXPECT_EQ(cache.video(key(2)), clip);
}

}  // namespace
}  // namespace pippin::media
