// Oracle: Pillow. tools/media/make_testdata.py wrote each picture of testdata and, as .ppm beside
// it, the pixels that Pillow reads from it (oriented, over white).
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "base/digest.h"
#include "base/files.h"
#include "media/cost.h"
#include "media/digest.h"
#include "media/testing.h"
#include "media/watch.h"
#include "pippin/error.h"
#include "pippin/pixels.h"

namespace pippin::media {
namespace {

namespace fs = std::filesystem;
using Bytes = std::vector<std::uint8_t>;

std::vector<fs::path> pictures() {
  std::vector<fs::path> files;
  for (const auto& entry : fs::directory_iterator(kTestdata)) {
    if (entry.is_regular_file() && entry.path().extension() != ".ppm") {
      files.push_back(entry.path());
    }
  }
  std::sort(files.begin(), files.end());
  return files;
}

int max_difference(const Pixels& a, const Pixels& b) {
  int most = 0;
  for (std::size_t i = 0; i < a.rgb.size(); ++i)
    most = std::max(most, std::abs(a.rgb[i] - b.rgb[i]));
  return most;
}

std::optional<Code> error_of(const Bytes& bytes, const ImageLimits& limits = {}) {
  try {
    decode_image(bytes, limits);
    return std::nullopt;
  } catch (const Error& error) {
    EXPECT_EQ(error.field(), "");
    return error.code();
  }
}

void append(Bytes& bytes, std::initializer_list<int> more) {
  for (const int byte : more) bytes.push_back(static_cast<std::uint8_t>(byte));
}

TEST(DecodeImage, AgreesWithPillow) {
  const std::vector<fs::path> files = pictures();
  ASSERT_GT(files.size(), 50u);
  for (const fs::path& file : files) {
    SCOPED_TRACE(file.filename());
    const Pixels expected = read_ppm(file.string() + ".ppm");
    const Pixels got = load_image(file);
    ASSERT_EQ(got.height, expected.height);
    ASSERT_EQ(got.width, expected.width);
    ASSERT_EQ(got.rgb.size(), expected.rgb.size());
    EXPECT_EQ(max_difference(got, expected), 0);
  }
}

TEST(DecodeImage, IgnoresWhatFollowsThePicture) {
  for (const fs::path& file : pictures()) {
    Bytes bytes = read_file(file);
    append(bytes, {'t', 'r', 'a', 'i', 'l', 0, 1, 2, 3});
    EXPECT_EQ(decode_image(bytes), load_image(file)) << file.filename();
  }
}

// A cut file is an error, or lacks nothing that can be seen: never a picture with grey in it.
TEST(DecodeImage, RefusesTruncatedFiles) {
  for (const fs::path& file : pictures()) {
    const Bytes bytes = read_file(file);
    const Pixels whole = decode_image(bytes);
    int num_refused = 0;
    const std::size_t step = std::max<std::size_t>(bytes.size() / 256, 1);
    for (std::size_t size = 0; size < bytes.size(); size += step) {
      try {
        EXPECT_EQ(decode_image({bytes.data(), size}), whole)
            << file.filename() << " cut to " << size << " of " << bytes.size() << " bytes";
      } catch (const Error& error) {
        EXPECT_EQ(error.code(), Code::invalid_argument);
        ++num_refused;
      }
    }
    EXPECT_GT(num_refused, 20) << file.filename();
  }
}

// Damaged files may decode to something, but nothing except Error may come out (run under ASan).
TEST(DecodeImage, SurvivesBitFlips) {
  std::mt19937 random(20260);
  const ImageLimits limits{.max_bytes = 1 << 20, .max_pixels = 1 << 18};
  for (const fs::path& file : pictures()) {
    const Bytes bytes = read_file(file);
    for (int round = 0; round < 200; ++round) {
      Bytes damaged = bytes;
      for (int flip = 0; flip <= round % 4; ++flip) {
        // Half of the flips hit the headers, where the structure is.
        const std::size_t range = flip % 2 ? bytes.size() : std::min<std::size_t>(bytes.size(), 64);
        damaged[random() % range] ^= static_cast<std::uint8_t>(1u << random() % 8);
      }
      try {
        const Pixels pixels = decode_image(damaged, limits);
        EXPECT_EQ(pixels.rgb.size(), std::size_t{3} * pixels.height * pixels.width);
      } catch (const Error& error) {
        EXPECT_TRUE(error.code() == Code::invalid_argument ||
                    error.code() == Code::payload_too_large)
            << file.filename() << ": " << error.what();
      }
    }
  }
}

TEST(DecodeImage, ChecksTheHeadersSizeBeforeTakingMemory) {
  Bytes png{0x89, 'P', 'N', 'G', '\r', '\n', 0x1a, '\n'};
  append(png, {0, 0, 0, 13, 'I', 'H', 'D', 'R', 0, 0, 0xEA, 0x60, 0, 0, 0xEA, 0x60, 8, 2, 0, 0, 0});
  EXPECT_EQ(error_of(png), Code::payload_too_large);

  Bytes bmp = read_file(kTestdata / "rgb24.bmp");
  const Bytes side{0x60, 0xEA, 0, 0};
  std::copy_n(side.begin(), 4, bmp.begin() + 18);
  std::copy_n(side.begin(), 4, bmp.begin() + 22);
  EXPECT_EQ(error_of(bmp), Code::payload_too_large);

  Bytes gif = read_file(kTestdata / "palette.gif");
  std::copy_n(side.begin(), 2, gif.begin() + 6);
  std::copy_n(side.begin(), 2, gif.begin() + 8);
  EXPECT_EQ(error_of(gif), Code::payload_too_large);

  Bytes jpeg = read_file(kTestdata / "420.jpg");
  const Bytes start_of_frame{0xFF, 0xC0};
  const auto frame =
      std::search(jpeg.begin(), jpeg.end(), start_of_frame.begin(), start_of_frame.end());
  ASSERT_LT(frame + 9, jpeg.end());
  std::copy_n(Bytes{0xEA, 0x60, 0xEA, 0x60}.begin(), 4, frame + 5);
  EXPECT_EQ(error_of(jpeg), Code::payload_too_large);

  const ImageLimits small{.max_pixels = 13 * 18 - 1};
  for (const char* name : {"rgb.png", "420.jpg", "lossy.webp", "palette.gif", "rgb24.bmp"}) {
    EXPECT_EQ(error_of(read_file(kTestdata / name), small), Code::payload_too_large) << name;
  }
}

TEST(ImageCost, IsOfThePixelsAndWhatDecodingTakes) {
  for (const fs::path& file : pictures()) {
    const Bytes bytes = read_file(file);
    const PictureCost cost = image_cost(bytes, {});
    EXPECT_EQ(cost.kept, std::ssize(decode_image(bytes).rgb)) << file.filename();
  }
  const auto cost_of = [](const char* name) { return image_cost(read_file(kTestdata / name), {}); };
  EXPECT_EQ(cost_of("420.jpg").work, 0);
  EXPECT_GT(cost_of("progressive.jpg").work, cost_of("progressive.jpg").kept);
  EXPECT_EQ(cost_of("rgb.png").work, 0);
  EXPECT_GT(cost_of("lossless.webp").work, cost_of("lossy.webp").work);
  EXPECT_THROW(image_cost(read_file(kTestdata / "rgb.png"), {.max_pixels = 1}), Error);
}

// With copies of its first scan (the coarse means of blocks) before its end, and a size of its own in the header.
Bytes many_scans(int copies, int side) {
  Bytes jpeg = read_file(kTestdata / "progressive.jpg");
  const Bytes mark{0xFF, 0xDA}, frame_mark{0xFF, 0xC2};
  const auto scan = std::search(jpeg.begin(), jpeg.end(), mark.begin(), mark.end());
  const Bytes table_mark{0xFF, 0xC4};
  const Bytes first(scan, std::search(scan, jpeg.end(), table_mark.begin(), table_mark.end()));
  for (int i = 0; i < copies; ++i) jpeg.insert(jpeg.end() - 2, first.begin(), first.end());
  if (side == 0) return jpeg;
  const auto frame = std::search(jpeg.begin(), jpeg.end(), frame_mark.begin(), frame_mark.end());
  const auto high = static_cast<std::uint8_t>(side >> 8), low = static_cast<std::uint8_t>(side);
  std::copy_n(Bytes{high, low, high, low}.begin(), 4, frame + 5);
  return jpeg;
}

TEST(DecodeImage, BoundsTheScansOfAJpegByItsSize) {
  EXPECT_NO_THROW(image_cost(many_scans(10, 8000), {}));
  const auto start = thread_seconds();
  EXPECT_EQ(error_of(many_scans(190, 8000)), Code::payload_too_large);
  EXPECT_THROW(image_cost(many_scans(190, 8000), {}), Error);
  EXPECT_LT(thread_seconds() - start, 0.1);  // nothing is decoded before
  EXPECT_EQ(error_of(many_scans(150, 0)), std::nullopt);
  EXPECT_EQ(error_of(many_scans(250, 0)), Code::payload_too_large);
}

TEST(DecodeImage, TakesSoMuchOfACoreAtMost) {
  for (const char* name : {"rgb.png", "420.jpg", "progressive.jpg", "lossy.webp", "lossless.webp",
                           "palette.gif", "rgb24.bmp"})
    EXPECT_EQ(error_of(read_file(kTestdata / name), {.max_decode_seconds = 0}),
              Code::payload_too_large)
        << name;
}

TEST(DecodeImage, EndsWhereNobodyWaits) {
  for (const fs::path& file : pictures()) {
    const Bytes bytes = read_file(file);
    EXPECT_EQ(error_of(bytes, {.wanted = [] { return false; }}), Code::cancelled)
        << file.filename();
    int asked = 0;
    EXPECT_EQ(error_of(bytes, {.wanted = [&] { return ++asked > 0; }}), std::nullopt);
    EXPECT_GT(asked, 0) << file.filename();
  }
}

TEST(DecodeImage, RefusesWhatIsNotAPicture) {
  EXPECT_EQ(error_of({}), Code::invalid_argument);
  EXPECT_EQ(error_of({'h', 'e', 'l', 'l', 'o'}), Code::invalid_argument);
  const Bytes large(100, 0);
  EXPECT_EQ(error_of(large, {.max_bytes = 99}), Code::payload_too_large);
}

TEST(DecodeImage, RefusesEmptyPictures) {
  Bytes bmp = read_file(kTestdata / "rgb24.bmp");
  std::fill_n(bmp.begin() + 18, 4, std::uint8_t{0});
  EXPECT_EQ(error_of(bmp), Code::invalid_argument);
}

TEST(LoadImage, NamesAMissingFile) {
  try {
    load_image(kTestdata / "missing.png");
    FAIL() << "expected an Error";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Code::not_found);
    EXPECT_NE(std::string(error.what()).find("missing.png"), std::string::npos);
  }
}

TEST(PixelDigest, NamesWhatIsShown) {
  const Pixels png = load_image(kTestdata / "rgb.png");
  EXPECT_EQ(pixel_digest(png), pixel_digest(load_image(kTestdata / "rgb24.bmp")));
  EXPECT_EQ(pixel_digest(png), pixel_digest(load_image(kTestdata / "interlaced.png")));
  EXPECT_NE(pixel_digest(png), pixel_digest(load_image(kTestdata / "444.jpg")));

  Pixels other = png;
  other.rgb[7] ^= 1;
  EXPECT_NE(pixel_digest(png), pixel_digest(other));
  Pixels reshaped = png;
  std::swap(reshaped.height, reshaped.width);
  EXPECT_NE(pixel_digest(png), pixel_digest(reshaped));
}

TEST(PixelDigest, IsBlake3OfSizeAndPixels) {
  const Pixels one{1, 2, {10, 20, 30, 40, 50, 60}};
  const Bytes message{1, 0, 0, 0, 2, 0, 0, 0, 10, 20, 30, 40, 50, 60};
  EXPECT_EQ(pixel_digest(one), blake3(message));
}

}  // namespace
}  // namespace pippin::media
