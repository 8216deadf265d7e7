// GIF by giflib: the first frame, drawn on a white canvas of the logical screen's size.
#include <gif_lib.h>

#include <algorithm>
#include <cstring>
#include <new>
#include <string>
#include <vector>

#include "media/decoders.h"
#include "media/pixel_ops.h"
#include "pippin/error.h"

namespace pippin::media {
namespace {

using Bytes = std::span<const std::uint8_t>;

[[noreturn]] void fail(int error) {
  if (error == D_GIF_ERR_NOT_ENOUGH_MEM) throw std::bad_alloc();
  const char* why = GifErrorString(error);
  throw Error(Code::invalid_argument,
              std::string("[gif] cannot decode: ") + (why != nullptr ? why : "unknown error"));
}

// Owns giflib's state for one file. Used by one thread.
class GifReader {
 public:
  explicit GifReader(Bytes bytes) : rest_(bytes) {
    int error = 0;
    gif_ = DGifOpen(this, on_read, &error);
    if (gif_ == nullptr) fail(error);
  }
  ~GifReader() { DGifCloseFile(gif_, nullptr); }
  GifReader(const GifReader&) = delete;
  GifReader& operator=(const GifReader&) = delete;

  // Stops at the first frame's pixels.
  void read_header() {
    GifRecordType type = UNDEFINED_RECORD_TYPE;
    while (type != IMAGE_DESC_RECORD_TYPE) {
      check(DGifGetRecordType(gif_, &type));
      if (type == EXTENSION_RECORD_TYPE) read_extension();
      if (type == TERMINATE_RECORD_TYPE) fail(D_GIF_ERR_NO_IMAG_DSCR);
    }
    check(DGifGetImageDesc(gif_));
  }

  const GifImageDesc& frame() const { return gif_->Image; }
  // Some writers leave the screen smaller than its frame; the frame is what they meant.
  int height() const { return std::max(gif_->SHeight, frame().Top + frame().Height); }
  int width() const { return std::max(gif_->SWidth, frame().Left + frame().Width); }

  // One row of colour indices, [frame().Width].
  void read_row(GifPixelType* row) { check(DGifGetLine(gif_, row, frame().Width)); }

  void put(GifPixelType index, std::uint8_t* rgb) const {
    const ColorMapObject* map = frame().ColorMap != nullptr ? frame().ColorMap : gif_->SColorMap;
    if (index == transparent_) {
      std::fill_n(rgb, 3, std::uint8_t{255});
    } else if (map == nullptr) {
      std::fill_n(rgb, 3, index);  // a file without colours is taken for greys
    } else if (index < map->ColorCount) {
      const GifColorType& color = map->Colors[index];
      rgb[0] = color.Red;
      rgb[1] = color.Green;
      rgb[2] = color.Blue;
    } else {
      std::fill_n(rgb, 3, std::uint8_t{0});
    }
  }

 private:
  static int on_read(GifFileType* gif, GifByteType* out, int size) {
    Bytes& rest = static_cast<GifReader*>(gif->UserData)->rest_;
    const std::size_t count = std::min(rest.size(), static_cast<std::size_t>(std::max(size, 0)));
    if (count > 0) std::memcpy(out, rest.data(), count);
    rest = rest.subspan(count);
    return static_cast<int>(count);
  }

  void check(int status) const {
    if (status == GIF_ERROR) fail(gif_->Error);
  }

  void read_extension() {
    int kind = 0;
    GifByteType* block = nullptr;  // its length, then its bytes
    check(DGifGetExtension(gif_, &kind, &block));
    while (block != nullptr) {
      GraphicsControlBlock control;
      if (kind == GRAPHICS_EXT_FUNC_CODE &&
          DGifExtensionToGCB(block[0], block + 1, &control) == GIF_OK) {
        transparent_ = control.TransparentColor;
      }
      check(DGifGetExtensionNext(gif_, &block));
    }
  }

  Bytes rest_;
  GifFileType* gif_ = nullptr;
  int transparent_ = NO_TRANSPARENT_COLOR;
};

// The order in which an interlaced frame stores its rows (GIF89a, appendix E).
std::vector<int> row_order(const GifImageDesc& frame) {
  std::vector<int> rows;
  rows.reserve(frame.Height);
  const auto add = [&](int first, int step) {
    for (int y = first; y < frame.Height; y += step) rows.push_back(y);
  };
  if (frame.Interlace) {
    add(0, 8);
    add(4, 8);
    add(2, 4);
    add(1, 2);
  } else {
    add(0, 1);
  }
  return rows;
}

}  // namespace

PictureCost gif_cost(Bytes bytes, const ImageLimits& limits) {
  GifReader reader(bytes);
  reader.read_header();
  return {pixel_bytes("gif", reader.height(), reader.width(), limits)};
}

Pixels decode_gif(Bytes bytes, const ImageLimits& limits, const Watch& watch) {
  GifReader reader(bytes);
  reader.read_header();
  const GifImageDesc& frame = reader.frame();
  Pixels picture = new_picture("gif", reader.height(), reader.width(), limits);
  const bool whole = frame.Height == picture.height && frame.Width == picture.width;
  if (!whole) std::fill(picture.rgb.begin(), picture.rgb.end(), std::uint8_t{255});
  std::vector<GifPixelType> row(frame.Width);
  for (const int y : row_order(frame)) {
    watch.check("gif");
    reader.read_row(row.data());
    const std::size_t at = static_cast<std::size_t>(frame.Top + y) * picture.width + frame.Left;
    for (int x = 0; x < frame.Width; ++x) reader.put(row[x], &picture.rgb[(at + x) * 3]);
  }
  return picture;
}

}  // namespace pippin::media
