// PNG by libpng. libpng reports errors by longjmp, which may not pass over C++ objects: every call
// into it that can fail sits in a member function that calls setjmp and owns nothing itself.
#include <png.h>

#include <cstdlib>
#include <cstring>
#include <new>
#include <string>
#include <vector>

#include "media/decoders.h"
#include "media/exif.h"
#include "media/pixel_ops.h"
#include "pippin/error.h"

namespace pippin::media {
namespace {

using Bytes = std::span<const std::uint8_t>;

// Owns libpng's state for one file. Used by one thread; after an Error only the destructor is left.
class PngReader {
 public:
  explicit PngReader(Bytes bytes) : rest_(bytes) {
    png_ = png_create_read_struct_2(PNG_LIBPNG_VER_STRING, this, on_error, on_warning, this,
                                    on_allocate, on_free);
    if (png_ != nullptr) info_ = png_create_info_struct(png_);
    if (info_ == nullptr) {
      png_destroy_read_struct(&png_, nullptr, nullptr);
      throw std::bad_alloc();
    }
    png_set_read_fn(png_, this, on_read);
  }
  ~PngReader() { png_destroy_read_struct(&png_, &info_, nullptr); }
  PngReader(const PngReader&) = delete;
  PngReader& operator=(const PngReader&) = delete;

  // Reads up to the pixels and asks for RGB8, or RGBA8 where the file knows transparency.
  void read_header() {
    if (setjmp(png_jmpbuf(png_))) fail();
    pass_over_texts();
    png_read_info(png_, info_);
    png_set_expand(png_);
    png_set_strip_16(png_);  // the high byte, as Pillow does for RGB
    png_set_gray_to_rgb(png_);
    num_passes_ = png_set_interlace_handling(png_);
    png_read_update_info(png_, info_);
  }

  // Passes over an interlaced picture; each adds pixels to the rows of the one before.
  int num_passes() const { return num_passes_; }
  bool has_alpha() const { return png_get_channels(png_, info_) == 4; }
  void read_row(std::uint8_t* row) {
    if (setjmp(png_jmpbuf(png_))) fail();
    png_read_row(png_, row, nullptr);
  }

  bool is_interlaced() const { return num_passes_ > 1; }

  int orientation() {
    if (setjmp(png_jmpbuf(png_))) fail();
    png_bytep exif = nullptr;
    png_uint_32 size = 0;
    if (png_get_eXIf_1(png_, info_, &size, &exif) == 0) return 1;
    return exif_orientation({exif, size});
  }

 private:
  // Compressed, each may unpack to megabytes, and nothing here reads them.
  void pass_over_texts() {
    static constexpr png_byte kChunks[] = "tEXt\0zTXt\0iTXt\0iCCP\0sPLT";
    png_set_keep_unknown_chunks(png_, PNG_HANDLE_CHUNK_NEVER, kChunks, 5);
  }

  static void* on_allocate(png_structp png, png_alloc_size_t size) {
    void* memory = std::malloc(size);
    if (memory == nullptr) static_cast<PngReader*>(png_get_mem_ptr(png))->no_memory_ = true;
    return memory;
  }
  static void on_free(png_structp, void* memory) { std::free(memory); }
  static void on_error(png_structp png, png_const_charp message) {
    auto* reader = static_cast<PngReader*>(png_get_error_ptr(png));
    std::strncpy(reader->message_, message, sizeof(reader->message_) - 1);
    png_longjmp(png, 1);
  }
  static void on_warning(png_structp, png_const_charp) {}
  static void on_read(png_structp png, png_bytep out, std::size_t size) {
    Bytes& rest = static_cast<PngReader*>(png_get_io_ptr(png))->rest_;
    if (size > rest.size()) png_error(png, "the file is truncated");
    std::memcpy(out, rest.data(), size);
    rest = rest.subspan(size);
  }

  [[noreturn]] void fail() const {
    if (no_memory_) throw std::bad_alloc();
    throw Error(Code::invalid_argument, "[png] cannot decode: " + std::string(message_));
  }

  Bytes rest_;
  png_structp png_ = nullptr;
  png_infop info_ = nullptr;
  int num_passes_ = 1;
  bool no_memory_ = false;
  char message_[128] = {};
};

void read_opaque(PngReader& reader, Pixels& picture, const Watch& watch) {
  for (int pass = 0; pass < reader.num_passes(); ++pass) {
    for (int y = 0; y < picture.height; ++y) {
      watch.check("png");
      reader.read_row(&picture.rgb[static_cast<std::size_t>(y) * picture.width * 3]);
    }
  }
}

void read_transparent(PngReader& reader, Pixels& picture, const Watch& watch) {
  const std::size_t width = picture.width;
  const bool keep_rows = reader.is_interlaced();
  std::vector<std::uint8_t> rgba(width * 4 * (keep_rows ? picture.height : 1));
  for (int pass = 0; pass < reader.num_passes(); ++pass) {
    const bool last = pass + 1 == reader.num_passes();
    for (int y = 0; y < picture.height; ++y) {
      watch.check("png");
      std::uint8_t* row = &rgba[keep_rows ? width * 4 * y : 0];
      reader.read_row(row);
      if (last) lay_on_white(row, width, &picture.rgb[width * 3 * y]);
    }
  }
}

std::uint32_t big_endian(const std::uint8_t* at) {
  return std::uint32_t{at[0]} << 24 | at[1] << 16 | at[2] << 8 | at[3];
}

struct Size {
  std::uint32_t height, width;
};

Size size_of(Bytes bytes, const ImageLimits& limits) {
  // The size sits at a fixed place (signature 8, chunk length 4, "IHDR" 4), so that an oversized
  // header is named as such even where the rest of the file is missing.
  constexpr std::size_t kWidthAt = 16;
  if (bytes.size() < kWidthAt + 8) {
    throw Error(Code::invalid_argument, "[png] cannot decode: the file is truncated");
  }
  const std::uint32_t width = big_endian(&bytes[kWidthAt]);
  const std::uint32_t height = big_endian(&bytes[kWidthAt + 4]);
  check_dimensions("png", height, width, limits);
  return {height, width};
}

}  // namespace

PictureCost png_cost(Bytes bytes, const ImageLimits& limits) {
  const auto [height, width] = size_of(bytes, limits);
  PngReader reader(bytes);
  reader.read_header();
  PictureCost cost{pixel_bytes("png", height, width, limits)};
  if (reader.is_interlaced() && reader.has_alpha()) cost.work += cost.kept / 3 * 4;
  if (reader.orientation() > 1) cost.work += cost.kept;
  return cost;
}

Pixels decode_png(Bytes bytes, const ImageLimits& limits, const Watch& watch) {
  const auto [height, width] = size_of(bytes, limits);
  PngReader reader(bytes);
  reader.read_header();
  Pixels picture = new_picture("png", height, width, limits);
  if (reader.has_alpha()) {
    read_transparent(reader, picture, watch);
  } else {
    read_opaque(reader, picture, watch);
  }
  return oriented(std::move(picture), reader.orientation());
}

}  // namespace pippin::media
