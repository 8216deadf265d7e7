// What the tests of media/ share. For tests only.
#pragma once

#include <cstdio>
#include <filesystem>
#include <string>

#include "base/files.h"
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

}  // namespace pippin::media
