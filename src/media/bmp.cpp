// Windows and OS/2 bitmaps, after Microsoft's "Bitmap Storage" pages: 1, 4, 8, 16, 24 and 32 bits a
// pixel, bit fields, both run-length encodings, rows from the bottom or from the top.
#include <algorithm>
#include <array>
#include <bit>
#include <string>
#include <vector>

#include "media/decoders.h"
#include "media/pixel_ops.h"
#include "pippin/error.h"

namespace pippin::media {
namespace {

using Bytes = std::span<const std::uint8_t>;

[[noreturn]] void fail(const std::string& why) {
  throw Error(Code::invalid_argument, "[bmp] cannot decode: " + why);
}

std::uint32_t little_endian(Bytes bytes, std::size_t at, std::size_t size) {
  if (at > bytes.size() || size > bytes.size() - at) fail("the file is truncated");
  std::uint32_t value = 0;
  for (std::size_t i = 0; i < size; ++i) value |= std::uint32_t{bytes[at + i]} << (8 * i);
  return value;
}

// One colour's bits within a pixel, stretched to 8 bits.
struct Channel {
  std::uint32_t mask = 0;

  std::uint8_t of(std::uint32_t pixel) const {
    if (mask == 0) return 0;
    const int shift = std::countr_zero(mask);
    const std::uint64_t value = (pixel & mask) >> shift;
    return static_cast<std::uint8_t>(value * 255 / (mask >> shift));
  }
};

enum class Compression : std::uint32_t {
  none = 0,
  rle8 = 1,
  rle4 = 2,
  fields = 3,
  alpha_fields = 6
};

struct Header {
  std::int64_t height = 0;
  std::int64_t width = 0;
  bool top_down = false;
  std::uint32_t bits = 0;  // of a pixel
  Compression compression = Compression::none;
  std::array<Channel, 4> channels;                         // red, green, blue, alpha
  std::array<std::array<std::uint8_t, 3>, 256> palette{};  // RGB; black where the file has none
  std::size_t pixels_at = 0;                               // byte offset in the file
};

constexpr std::size_t kFileHeaderBytes = 14;
constexpr std::size_t kCoreHeaderBytes = 12;  // OS/2 1.x: 16-bit sizes, 3-byte colours
constexpr std::size_t kInfoHeaderBytes = 40;  // the least of the later ones

void read_sizes(Bytes bytes, bool core, Header& header) {
  constexpr std::size_t kAt = kFileHeaderBytes + 4;
  if (core) {
    header.width = little_endian(bytes, kAt, 2);
    header.height = little_endian(bytes, kAt + 2, 2);
    header.bits = little_endian(bytes, kAt + 6, 2);
    return;
  }
  header.width = static_cast<std::int32_t>(little_endian(bytes, kAt, 4));
  header.height = static_cast<std::int32_t>(little_endian(bytes, kAt + 4, 4));
  header.top_down = header.height < 0;
  if (header.top_down) header.height = -header.height;
  header.bits = little_endian(bytes, kAt + 10, 2);
  header.compression = static_cast<Compression>(little_endian(bytes, kAt + 12, 4));
}

void check_kind(const Header& header) {
  const auto is = [&](std::initializer_list<std::uint32_t> bits) {
    return std::find(bits.begin(), bits.end(), header.bits) != bits.end();
  };
  bool known = false;
  switch (header.compression) {
    case Compression::none:
      known = is({1, 4, 8, 16, 24, 32});
      break;
    case Compression::rle8:
      known = is({8});
      break;
    case Compression::rle4:
      known = is({4});
      break;
    case Compression::fields:
    case Compression::alpha_fields:
      known = is({16, 32});
      break;
  }
  if (!known) {
    fail("compression " + std::to_string(static_cast<std::uint32_t>(header.compression)) +
         " with " + std::to_string(header.bits) + " bits a pixel is not supported");
  }
}

// Returns the offset behind the masks that follow a header too short to hold them.
std::size_t read_masks(Bytes bytes, std::size_t header_bytes, Header& header) {
  const std::size_t at = kFileHeaderBytes + kInfoHeaderBytes;
  const std::size_t header_end = kFileHeaderBytes + header_bytes;
  const bool given =
      header.compression == Compression::fields || header.compression == Compression::alpha_fields;
  if (!given) {
    const bool small = header.bits == 16;
    header.channels = {Channel{small ? 0x7C00u : 0xFF0000u}, Channel{small ? 0x3E0u : 0xFF00u},
                       Channel{small ? 0x1Fu : 0xFFu}, Channel{0}};
    return header_end;
  }
  const bool alpha = header.compression == Compression::alpha_fields || header_bytes >= 56;
  const std::size_t count = alpha ? 4 : 3;
  for (std::size_t i = 0; i < count; ++i) {
    header.channels[i].mask = little_endian(bytes, at + 4 * i, 4);
  }
  return std::max(header_end, at + 4 * count);
}

// Returns the offset behind the colours.
std::size_t read_palette(Bytes bytes, std::size_t at, bool core, Header& header) {
  if (header.bits > 8) return at;
  const std::size_t entry_bytes = core ? 3 : 4;
  std::size_t count = core ? 0 : little_endian(bytes, kFileHeaderBytes + 32, 4);
  if (count == 0 || count > 256) count = std::size_t{1} << header.bits;
  for (std::size_t i = 0; i < count; ++i) {
    const std::uint32_t bgr = little_endian(bytes, at + i * entry_bytes, 3);
    header.palette[i] = {static_cast<std::uint8_t>(bgr >> 16), static_cast<std::uint8_t>(bgr >> 8),
                         static_cast<std::uint8_t>(bgr)};
  }
  return at + count * entry_bytes;
}

Header read_header(Bytes bytes, const ImageLimits& limits) {
  Header header;
  const std::size_t header_bytes = little_endian(bytes, kFileHeaderBytes, 4);
  const bool core = header_bytes == kCoreHeaderBytes;
  if (!core && (header_bytes < kInfoHeaderBytes || header_bytes > 256)) {
    fail("a header of " + std::to_string(header_bytes) + " bytes is not known");
  }
  read_sizes(bytes, core, header);
  check_dimensions("bmp", header.height, header.width, limits);
  check_kind(header);
  std::size_t end = kFileHeaderBytes + header_bytes;
  if (!core) end = read_masks(bytes, header_bytes, header);
  end = read_palette(bytes, end, core, header);
  // A few writers leave the offset 0 or forget the palette in it.
  header.pixels_at = std::max<std::size_t>(little_endian(bytes, 10, 4), end);
  return header;
}

void unpack_indices(const Header& header, const std::uint8_t* from, std::uint8_t* rgb) {
  const std::uint32_t per_byte = 8 / header.bits;
  const std::uint32_t mask = (1u << header.bits) - 1;
  for (std::int64_t x = 0; x < header.width; ++x, rgb += 3) {
    const std::uint32_t shift = 8 - header.bits * (x % per_byte + 1);
    std::copy_n(header.palette[from[x / per_byte] >> shift & mask].data(), 3, rgb);
  }
}

void unpack_bgr(const Header& header, const std::uint8_t* from, std::uint8_t* rgb) {
  for (std::int64_t x = 0; x < header.width; ++x, from += 3, rgb += 3) {
    rgb[0] = from[2];
    rgb[1] = from[1];
    rgb[2] = from[0];
  }
}

void unpack_fields(const Header& header, const std::uint8_t* from, std::uint8_t* rgb) {
  const auto& [red, green, blue, alpha] = header.channels;
  const std::size_t pixel_bytes = header.bits / 8;
  for (std::int64_t x = 0; x < header.width; ++x, from += pixel_bytes, rgb += 3) {
    const std::uint32_t pixel = little_endian({from, pixel_bytes}, 0, pixel_bytes);
    const std::uint8_t rgba[] = {red.of(pixel), green.of(pixel), blue.of(pixel),
                                 alpha.mask != 0 ? alpha.of(pixel) : std::uint8_t{255}};
    lay_on_white(rgba, 1, rgb);
  }
}

void unpack_row(const Header& header, const std::uint8_t* from, std::uint8_t* rgb) {
  if (header.bits <= 8) {
    unpack_indices(header, from, rgb);
  } else if (header.bits == 24) {
    unpack_bgr(header, from, rgb);
  } else {
    unpack_fields(header, from, rgb);
  }
}

bool is_run_length(const Header& header) {
  return header.compression == Compression::rle8 || header.compression == Compression::rle4;
}

// Undoes RLE8 or RLE4 into one byte a pixel, rows in the file's order. What the code skips is 0.
class RunLengthDecoder {
 public:
  RunLengthDecoder(const Header& header, Bytes code)
      : code_(code),
        width_(header.width),
        height_(header.height),
        nibbles_(header.compression == Compression::rle4),
        indices_(static_cast<std::size_t>(width_ * height_)) {}

  std::vector<std::uint8_t> decode() {
    while (!done_) {
      if (code_.size() < 2) {
        check_last_row_reached();
        break;
      }
      const unsigned count = next();
      const std::uint8_t value = next();
      if (count > 0) {
        for (unsigned i = 0; i < count; ++i) put(nibbles_ ? nibble(value, i) : value);
      } else {
        escape(value);
      }
    }
    return std::move(indices_);
  }

 private:
  static std::uint8_t nibble(std::uint8_t byte, unsigned i) {
    return i % 2 ? byte & 15 : byte >> 4;
  }

  std::uint8_t next() {
    if (code_.empty()) fail("the file is truncated");
    const std::uint8_t byte = code_.front();
    code_ = code_.subspan(1);
    return byte;
  }

  void put(std::uint8_t index) {
    if (x_ < width_ && y_ < height_) indices_[static_cast<std::size_t>(y_ * width_ + x_)] = index;
    ++x_;
  }

  void escape(std::uint8_t kind) {
    if (kind == 0) {  // end of row
      x_ = 0;
      ++y_;
    } else if (kind == 1) {
      done_ = true;
    } else if (kind == 2) {
      x_ += next();
      y_ += next();
    } else {
      literal(kind);
    }
  }

  // `count` pixels as they are, padded to a whole 16-bit word.
  void literal(unsigned count) {
    const unsigned num_bytes = nibbles_ ? (count + 1) / 2 : count;
    std::uint8_t byte = 0;
    for (unsigned i = 0; i < count; ++i) {
      if (!nibbles_ || i % 2 == 0) byte = next();
      put(nibbles_ ? nibble(byte, i) : byte);
    }
    if (num_bytes % 2 == 1 && !code_.empty()) next();
  }

  // Some writers leave out the final escape; a missing row is a truncated file.
  void check_last_row_reached() const {
    const bool complete = y_ >= height_ || (y_ == height_ - 1 && x_ >= width_);
    if (!complete) fail("the file is truncated");
  }

  Bytes code_;
  std::int64_t width_, height_;
  bool nibbles_;
  std::vector<std::uint8_t> indices_;
  std::int64_t x_ = 0, y_ = 0;
  bool done_ = false;
};

}  // namespace

PictureCost bmp_cost(Bytes bytes, const ImageLimits& limits) {
  const Header header = read_header(bytes, limits);
  const std::int64_t kept = pixel_bytes("bmp", header.height, header.width, limits);
  return {kept, is_run_length(header) ? kept / 3 : 0};
}

Pixels decode_bmp(Bytes bytes, const ImageLimits& limits, const Watch& watch) {
  Header header = read_header(bytes, limits);
  std::vector<std::uint8_t> indices;
  Bytes pixels = bytes.subspan(std::min(header.pixels_at, bytes.size()));
  std::int64_t row_bytes = (header.width * header.bits + 31) / 32 * 4;
  if (is_run_length(header)) {
    indices = RunLengthDecoder(header, pixels).decode();
    pixels = indices;
    header.bits = 8;
    row_bytes = header.width;
  }
  const std::int64_t last_row_bytes = (header.width * header.bits + 7) / 8;
  if (row_bytes * (header.height - 1) + last_row_bytes > static_cast<std::int64_t>(pixels.size())) {
    fail("the file is truncated");
  }
  Pixels picture = new_picture("bmp", header.height, header.width, limits);
  for (std::int64_t y = 0; y < header.height; ++y) {
    watch.check("bmp");
    const std::int64_t row = header.top_down ? y : header.height - 1 - y;
    unpack_row(header, &pixels[static_cast<std::size_t>(row_bytes * y)],
               &picture.rgb[static_cast<std::size_t>(header.width * 3 * row)]);
  }
  return picture;
}

}  // namespace pippin::media
