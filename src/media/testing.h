// What the tests of media/ share. For tests only.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <string>
#include <vector>

#include "base/files.h"
#include "base/json.h"
#include "media/image_processor.h"
#include "pippin/error.h"
#include "pippin/pixels.h"

namespace pippin::media {

inline const std::filesystem::path kTestdata =
    std::filesystem::path(PIPPIN_SOURCE_DIR) / "src/media/testdata";

/// A binary PPM as Pillow writes it: "P6\n<width> <height>\n255\n", then RGB8.
inline Pixels read_ppm(const std::filesystem::path& file) {
  const std::string text = read_text(file);
  Pixels pixels;
  int header_bytes = 0;
  if (std::sscanf(text.c_str(), "P6 %d %d 255%n", &pixels.width, &pixels.height, &header_bytes) !=
      2) {
    throw Error(Code::invalid_argument, file.string() + " is not a PPM file");
  }
  pixels.rgb.assign(text.begin() + header_bytes + 1, text.end());
  return pixels;
}

/// The arrays of a small safetensors file: 8 bytes of header size, a JSON header, the data.
class GoldenArrays {
 public:
  explicit GoldenArrays(const std::filesystem::path& file) : text_(read_text(file)) {
    std::uint64_t header_bytes = 0;  // little-endian, as is every machine that runs this
    std::memcpy(&header_bytes, text_.data(), sizeof(header_bytes));
    data_at_ = sizeof(header_bytes) + header_bytes;
    header_ = parse_json(std::string_view(text_).substr(sizeof(header_bytes), header_bytes),
                         file.string())
                  .as_object();
  }

  const json::object& header() const { return header_; }

  std::vector<int> shape(const std::string& key) const {
    return json::value_to<std::vector<int>>(header_.at(key).at("shape"));
  }

  template <class T>
  std::vector<T> values(const std::string& key) const {
    const auto range = json::value_to<std::vector<std::size_t>>(header_.at(key).at("data_offsets"));
    std::vector<T> values((range.at(1) - range.at(0)) / sizeof(T));
    std::memcpy(values.data(), text_.data() + data_at_ + range[0], values.size() * sizeof(T));
    return values;
  }

  /// A u8 [T, H, W, 3] array.
  std::vector<Pixels> frames(const std::string& key) const {
    const std::vector<int> size = shape(key);
    const auto rgb = values<std::uint8_t>(key);
    const std::ptrdiff_t frame_bytes = std::ptrdiff_t{size.at(1)} * size.at(2) * size.at(3);
    std::vector<Pixels> frames;
    for (auto at = rgb.begin(); at != rgb.end(); at += frame_bytes)
      frames.push_back({size[1], size[2], {at, at + frame_bytes}});
    return frames;
  }

  /// A u8 [H, W, 3] array.
  Pixels pixels(const std::string& key) const {
    const std::vector<int> size = shape(key);
    return {size.at(0), size.at(1), values<std::uint8_t>(key)};
  }

 private:
  std::string text_;
  std::size_t data_at_ = 0;
  json::object header_;
};

/// float32 rounding only: three operations on numbers of size 1.
constexpr float kNormalizedError = 5e-7f;

inline void expect_normalized(const Patches& patches, const ImageProcessorConfig& config,
                              const std::vector<float>& expected) {
  ASSERT_EQ(patches.values.size(), expected.size());
  const Normalization normalization = config.normalization();
  const std::size_t channel_size =
      std::size_t{1} * config.temporal_patch_size * config.patch_size * config.patch_size;
  float worst = 0;
  for (std::size_t i = 0; i < expected.size(); ++i) {
    const std::size_t c = i / channel_size % 3;
    const float got = patches.values[i] * normalization.scale[c] + normalization.offset[c];
    worst = std::max(worst, std::abs(got - expected[i]));
  }
  EXPECT_LE(worst, kNormalizedError);
}

}  // namespace pippin::media
