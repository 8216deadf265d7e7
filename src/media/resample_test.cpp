// Oracle: Pillow's BICUBIC (tools/media/make_testdata.py), byte for byte.
#include "media/resample.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>

#include "media/testing.h"

namespace pippin::media {
namespace {

TEST(ResizeBicubic, EqualsPillow) {
  const auto folder = kTestdata / "resize";
  const Pixels source = read_ppm(folder / "source.ppm");
  int num_sizes = 0;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    if (entry.path().filename() == "source.ppm") continue;
    const Pixels expected = read_ppm(entry.path());
    EXPECT_EQ(resize_bicubic(source, expected.height, expected.width), expected)
        << entry.path().filename();
    ++num_sizes;
  }
  EXPECT_EQ(num_sizes, 10);
}

TEST(ResizeBicubic, KeepsOneColour) {
  const Pixels plain{9, 200, std::vector<std::uint8_t>(9 * 200 * 3, 255)};
  for (const int side : {1, 7, 64, 500}) {
    const Pixels resized = resize_bicubic(plain, side, side);
    EXPECT_EQ(resized.rgb.size(), std::size_t{3} * side * side);
    EXPECT_EQ(*std::min_element(resized.rgb.begin(), resized.rgb.end()), 255) << side;
  }
}

TEST(ResizeBicubic, LeavesTheSameSizeAlone) {
  const Pixels source = read_ppm(kTestdata / "resize/source.ppm");
  EXPECT_EQ(resize_bicubic(source, source.height, source.width), source);
}

}  // namespace
}  // namespace pippin::media
