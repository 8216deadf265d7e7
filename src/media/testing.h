// What the tests of media/ share. For tests only.
#pragma once

#include <cstdio>
#include <cstring>
#include <filesystem>
#include <string>
#include <vector>

#include "base/files.h"
#include "base/json.h"
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

}  // namespace pippin::media
