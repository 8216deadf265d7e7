// JPEG by libjpeg-turbo's libjpeg interface, with the library's defaults (accurate integer DCT,
// fancy upsampling), which are Pillow's too. Errors arrive by longjmp: see png.cpp.
#include <cstddef>
#include <cstdio>
// jpeglib.h needs size_t and FILE declared before it.
#include <jerror.h>
#include <jpeglib.h>

#include <algorithm>
#include <csetjmp>
#include <cstring>
#include <exception>
#include <new>
#include <string>
#include <utility>
#include <vector>

#include "media/decoders.h"
#include "media/exif.h"
#include "media/pixel_ops.h"
#include "pippin/error.h"

namespace pippin::media {
namespace {

using Bytes = std::span<const std::uint8_t>;

// A progressive file may hold any number of scans, each as costly as a whole picture; encoders
// write about ten. So small pictures may have many, large ones few.
constexpr std::int64_t kMaxScans = 200, kLeastScans = 20;
constexpr std::int64_t kMaxScannedPixels = 256 << 20;

std::int64_t max_scans(std::int64_t pixels) {
  return std::clamp(kMaxScannedPixels / std::max<std::int64_t>(pixels, 1), kLeastScans, kMaxScans);
}

// Whether a segment of the file, with its length in the next two bytes, follows such a marker.
bool has_segment(std::uint8_t marker) {
  const bool alone = marker <= 0x01 || (marker >= 0xD0 && marker <= 0xD8) || marker == 0xFF;
  return !alone;
}

// Counts the file's scans without decoding any: their coded data holds no marker but restarts.
std::int64_t count_scans(Bytes bytes) {
  std::int64_t count = 0;
  for (std::size_t at = 0; at + 1 < bytes.size();) {
    const void* found = std::memchr(bytes.data() + at, 0xFF, bytes.size() - at - 1);
    if (found == nullptr) break;
    at = static_cast<std::size_t>(static_cast<const std::uint8_t*>(found) - bytes.data()) + 1;
    const std::uint8_t marker = bytes[at];
    if (marker == 0xD9) break;  // the end
    if (marker == 0xDA) ++count;
    if (!has_segment(marker)) continue;
    if (at + 2 >= bytes.size()) break;
    at += 1 + std::max(2, bytes[at + 1] << 8 | bytes[at + 2]);
  }
  return count;
}

void check_scans(std::int64_t count, std::int64_t pixels) {
  if (count <= max_scans(pixels)) return;
  throw Error(Code::payload_too_large, "[jpeg] at most " + std::to_string(max_scans(pixels)) +
                                           " scans are allowed for " + std::to_string(pixels) +
                                           " pixels, got " + std::to_string(count));
}

// libjpeg's callbacks get a pointer to its own structs; `context` leads from there to these.
struct JpegContext {
  jpeg_error_mgr errors{};
  jpeg_progress_mgr progress{};
  jpeg_source_mgr source{};
  std::jmp_buf jump{};
  char message[JMSG_LENGTH_MAX] = {};
  const Watch* watch = nullptr;  // null: only the header is read
  std::exception_ptr stopped;    // by the watch
  bool no_memory = false;
  bool ran_dry = false;         // the file ended before its end marker
  bool scan_cut_short = false;  // coded data ended before its pixels did
};

JpegContext& context_of(j_common_ptr info) { return *static_cast<JpegContext*>(info->client_data); }

void on_error(j_common_ptr info) {
  JpegContext& context = context_of(info);
  context.no_memory = context.errors.msg_code == JERR_OUT_OF_MEMORY;
  context.errors.format_message(info, context.message);
  std::longjmp(context.jump, 1);
}

// Warnings are damage that viewers live with, except that a missing end would turn grey.
void on_message(j_common_ptr info, int level) {
  JpegContext& context = context_of(info);
  if (level < 0 && context.errors.msg_code == JWRN_HIT_MARKER) context.scan_cut_short = true;
}

void ask(JpegContext& context) noexcept {
  try {
    context.watch->check("jpeg");
  } catch (...) {
    context.stopped = std::current_exception();
  }
}

// Called for every row of blocks of every scan.
void on_progress(j_common_ptr info) {
  JpegContext& context = context_of(info);
  if (context.watch == nullptr || !context.watch->over()) return;
  ask(context);
  if (context.stopped) std::longjmp(context.jump, 1);
}

void on_source(j_decompress_ptr) {}

// The whole file is in the buffer from the start, so asking for more means that it was cut: an end
// marker lets the library come to rest, and the reader decides whether anything is missing.
boolean on_fill(j_decompress_ptr info) {
  static constexpr JOCTET kEnd[] = {0xFF, JPEG_EOI};
  context_of(reinterpret_cast<j_common_ptr>(info)).ran_dry = true;
  info->src->next_input_byte = kEnd;
  info->src->bytes_in_buffer = sizeof(kEnd);
  return TRUE;
}

void on_skip(j_decompress_ptr info, long size) {
  if (size <= 0) return;
  if (static_cast<std::size_t>(size) > info->src->bytes_in_buffer) {
    on_fill(info);
    return;
  }
  info->src->next_input_byte += size;
  info->src->bytes_in_buffer -= size;
}

// Owns libjpeg's state for one file. Used by one thread; after an Error only the destructor is
// left.
class JpegReader {
 public:
  explicit JpegReader(Bytes bytes, const Watch* watch = nullptr) {
    context_.watch = watch;
    info_.err = jpeg_std_error(&context_.errors);
    context_.errors.error_exit = on_error;
    context_.errors.emit_message = on_message;
    context_.progress.progress_monitor = on_progress;
    context_.source = {bytes.data(), bytes.size(),           on_source, on_fill,
                       on_skip,      jpeg_resync_to_restart, on_source};
    info_.client_data = &context_;
  }
  ~JpegReader() { jpeg_destroy_decompress(&info_); }
  JpegReader(const JpegReader&) = delete;
  JpegReader& operator=(const JpegReader&) = delete;

  void read_header() {
    if (setjmp(context_.jump)) fail();
    jpeg_create_decompress(&info_);
    info_.src = &context_.source;
    info_.progress = &context_.progress;
    jpeg_save_markers(&info_, kExifMarker, 0xFFFF);
    jpeg_read_header(&info_, TRUE);
    info_.out_color_space = info_.num_components == 4 ? JCS_CMYK : JCS_RGB;
  }

  int height() const { return static_cast<int>(info_.image_height); }
  int width() const { return static_cast<int>(info_.image_width); }
  // All coefficients are kept until the last scan.
  std::int64_t coefficient_bytes() {
    if (!jpeg_has_multiple_scans(&info_)) return 0;
    std::int64_t blocks = 0;
    for (int i = 0; i < info_.num_components; ++i)
      blocks += std::int64_t{info_.comp_info[i].width_in_blocks} *
                std::int64_t{info_.comp_info[i].height_in_blocks};
    return blocks * std::int64_t{sizeof(JBLOCK)};
  }

  bool is_cmyk() const { return info_.out_color_space == JCS_CMYK; }

  void start() {
    if (setjmp(context_.jump)) fail();
    jpeg_start_decompress(&info_);
  }

  // RGB8 [width, 3], or inverted CMYK8 [width, 4].
  void read_row(std::uint8_t* row) {
    if (setjmp(context_.jump)) fail();
    jpeg_read_scanlines(&info_, &row, 1);
  }

  // A file that lacks only its end marker is whole; one with several scans may lack some of them.
  void check_complete() {
    const bool later_scans = jpeg_has_multiple_scans(&info_) || info_.arith_code;
    if (context_.scan_cut_short || (context_.ran_dry && later_scans)) {
      throw Error(Code::invalid_argument, "[jpeg] cannot decode: the file is truncated");
    }
  }

  int orientation() const {
    for (auto* marker = info_.marker_list; marker != nullptr; marker = marker->next) {
      const Bytes data{marker->data, marker->data_length};
      if (marker->marker == kExifMarker && data.size() > 6 && data[0] == 'E') {
        return exif_orientation(data);
      }
    }
    return 1;
  }

 private:
  static constexpr int kExifMarker = JPEG_APP0 + 1;

  [[noreturn]] void fail() const {
    if (context_.no_memory) throw std::bad_alloc();
    if (context_.stopped) std::rethrow_exception(context_.stopped);
    throw Error(Code::invalid_argument, "[jpeg] cannot decode: " + std::string(context_.message));
  }

  JpegContext context_;
  jpeg_decompress_struct info_{};
};

// The plain conversion without colour profiles. Four-component files come from Adobe's programs,
// which store the inks inverted (255: no ink); Pillow reads all of them so.
void cmyk_to_rgb(const std::uint8_t* cmyk, std::size_t count, std::uint8_t* rgb) {
  for (std::size_t i = 0; i < count; ++i, cmyk += 4, rgb += 3) {
    const unsigned light = cmyk[3];
    for (int c = 0; c < 3; ++c) {
      const unsigned ink = ((255u - cmyk[c]) * light + 127) / 255;
      rgb[c] = static_cast<std::uint8_t>(light - ink);
    }
  }
}

}  // namespace

PictureCost jpeg_cost(Bytes bytes, const ImageLimits& limits) {
  JpegReader reader(bytes);
  reader.read_header();
  const std::int64_t kept = pixel_bytes("jpeg", reader.height(), reader.width(), limits);
  check_scans(count_scans(bytes), kept / 3);
  return {kept, reader.coefficient_bytes() + (reader.orientation() > 1 ? kept : 0)};
}

Pixels decode_jpeg(Bytes bytes, const ImageLimits& limits, const Watch& watch) {
  JpegReader reader(bytes, &watch);
  reader.read_header();
  check_dimensions("jpeg", reader.height(), reader.width(), limits);
  check_scans(count_scans(bytes), std::int64_t{reader.height()} * reader.width());
  Pixels picture = new_picture("jpeg", reader.height(), reader.width(), limits);
  reader.start();
  const std::size_t width = picture.width;
  std::vector<std::uint8_t> cmyk(reader.is_cmyk() ? width * 4 : 0);
  for (int y = 0; y < picture.height; ++y) {
    std::uint8_t* row = &picture.rgb[width * 3 * y];
    reader.read_row(reader.is_cmyk() ? cmyk.data() : row);
    if (reader.is_cmyk()) cmyk_to_rgb(cmyk.data(), width, row);
  }
  reader.check_complete();
  return oriented(std::move(picture), reader.orientation());
}

}  // namespace pippin::media
