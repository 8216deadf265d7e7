#include "media/pixel_ops.h"

#include <gtest/gtest.h>

#include <cmath>
#include <numeric>

#include "media/exif.h"
#include "pippin/error.h"

namespace pippin::media {
namespace {

TEST(LayOnWhite, RoundsTheExactMixture) {
  for (int alpha = 0; alpha < 256; ++alpha) {
    for (int value = 0; value < 256; ++value) {
      const std::uint8_t rgba[] = {static_cast<std::uint8_t>(value), 0, 255,
                                   static_cast<std::uint8_t>(alpha)};
      std::uint8_t rgb[3];
      lay_on_white(rgba, 1, rgb);
      const double exact = (value * alpha + 255.0 * (255 - alpha)) / 255.0;
      ASSERT_EQ(rgb[0], std::lround(exact)) << value << " at " << alpha;
      ASSERT_EQ(rgb[1], 255 - alpha);
      ASSERT_EQ(rgb[2], 255);
    }
  }
}

// Oracle: each of the eight placements written as the definition says, pixel by pixel.
TEST(Oriented, MovesEveryPixelOfLargePictures) {
  const int h = 130, w = 67;  // over two tiles a side
  Pixels stored{h, w, std::vector<std::uint8_t>(std::size_t{h} * w * 3)};
  std::iota(stored.rgb.begin(), stored.rgb.end(), std::uint8_t{0});
  for (int orientation = 1; orientation <= 8; ++orientation) {
    const Pixels shown = oriented(stored, orientation);
    const bool turned = orientation > 4;
    ASSERT_EQ(shown.height, turned ? w : h);
    ASSERT_EQ(shown.width, turned ? h : w);
    for (int y = 0; y < shown.height; ++y) {
      for (int x = 0; x < shown.width; ++x) {
        int from_y = turned ? x : y;
        int from_x = turned ? y : x;
        if (orientation == 3 || orientation == 4 || orientation == 6 || orientation == 7) {
          from_y = h - 1 - from_y;
        }
        if (orientation == 2 || orientation == 3 || orientation == 7 || orientation == 8) {
          from_x = w - 1 - from_x;
        }
        const std::size_t to = (std::size_t{1} * y * shown.width + x) * 3;
        const std::size_t from = (std::size_t{1} * from_y * w + from_x) * 3;
        ASSERT_EQ(shown.rgb[to + 1], stored.rgb[from + 1]) << orientation << ": " << y << "," << x;
      }
    }
  }
}

TEST(NewPicture, HoldsTheLimitExactly) {
  const ImageLimits limits{.max_pixels = 12};
  EXPECT_EQ(new_picture("test", 3, 4, limits).rgb.size(), 36u);
  const auto code_of = [&](std::int64_t height, std::int64_t width) {
    try {
      new_picture("test", height, width, limits);
    } catch (const Error& error) {
      return error.code();
    }
    return Code::internal;
  };
  EXPECT_EQ(code_of(13, 1), Code::payload_too_large);
  EXPECT_EQ(code_of(std::int64_t{1} << 62, std::int64_t{1} << 62), Code::payload_too_large);
  EXPECT_EQ(code_of(0, 4), Code::invalid_argument);
  EXPECT_EQ(code_of(4, -1), Code::invalid_argument);
}

TEST(ExifOrientation, ReadsBothByteOrdersAndSurvivesNonsense) {
  const std::vector<std::uint8_t> little{'E', 'x', 'i', 'f', 0, 0,    'I',  'I', 42, 0, 8,
                                         0,   0,   0,   1,   0, 0x12, 0x01, 3,   0,  1, 0,
                                         0,   0,   6,   0,   0, 0,    0,    0,   0,  0};
  EXPECT_EQ(exif_orientation(little), 6);
  const std::vector<std::uint8_t> big{'M', 'M', 0, 42, 0, 0, 0, 8, 0, 1, 0x01, 0x12, 0,
                                      3,   0,   0, 0,  1, 0, 8, 0, 0, 0, 0,    0,    0};
  EXPECT_EQ(exif_orientation(big), 8);
  for (std::size_t size = 0; size < little.size(); ++size) {
    const int value = exif_orientation({little.data(), size});
    EXPECT_TRUE(value == 1 || value == 6);
  }
  std::vector<std::uint8_t> far = little;
  std::fill_n(far.begin() + 10, 4, std::uint8_t{0xFF});  // the directory's offset
  EXPECT_EQ(exif_orientation(far), 1);
  std::vector<std::uint8_t> ninth = little;
  ninth[24] = 9;
  EXPECT_EQ(exif_orientation(ninth), 1);
}

}  // namespace
}  // namespace pippin::media
