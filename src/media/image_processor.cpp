#include "media/image_processor.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <string>
#include <string_view>

#include "base/digest.h"
#include "base/json.h"
#include "media/resample.h"
#include "pippin/error.h"

namespace pippin::media {
namespace {

[[noreturn]] void refuse(const std::string& message) {
  throw Error(Code::invalid_argument, "[image_processor] " + message);
}

int positive(const Members& members, std::string_view key, int fallback) {
  const std::int64_t value = members.integer_or(key, fallback);
  constexpr int kMost = 256;  // far above any patch; keeps products of these within an int
  if (value < 1 || value > kMost) {
    refuse(members.path_of(key) + " must be 1.." + std::to_string(kMost) + ", got " +
           std::to_string(value));
  }
  return static_cast<int>(value);
}

// Three numbers, or one for all channels.
std::array<double, 3> per_channel(const Members& members, std::string_view key,
                                  const std::array<double, 3>& fallback) {
  const json::value* value = members.find(key);
  if (value == nullptr) return fallback;
  if (value->is_number()) {
    const double all = value->to_number<double>();
    return {all, all, all};
  }
  std::array<double, 3> numbers{};
  const json::array* array = members.array(key);
  if (array == nullptr || array->size() != numbers.size()) {
    refuse(members.path_of(key) + " must hold 3 numbers");
  }
  for (std::size_t c = 0; c < numbers.size(); ++c) {
    if (!(*array)[c].is_number()) refuse(members.path_of(key) + " must hold 3 numbers");
    numbers[c] = (*array)[c].to_number<double>();
  }
  return numbers;
}

void read_pixel_bounds(const Members& members, ImageProcessorConfig& config) {
  if (const json::object* object = members.object("size")) {
    const Members size(*object, members.path_of("size"));
    config.min_pixels = size.integer_or("shortest_edge", config.min_pixels);
    config.max_pixels = size.integer_or("longest_edge", config.max_pixels);
    config.min_pixels = size.integer_or("min_pixels", config.min_pixels);
    config.max_pixels = size.integer_or("max_pixels", config.max_pixels);
  }
  config.min_pixels = members.integer_or("min_pixels", config.min_pixels);
  config.max_pixels = members.integer_or("max_pixels", config.max_pixels);
  constexpr std::int64_t kMost = std::int64_t{1} << 30;
  if (config.min_pixels < 1 || config.max_pixels < config.min_pixels || config.max_pixels > kMost) {
    refuse("pixel bounds must satisfy 1 <= min <= max <= 2^30, got " +
           std::to_string(config.min_pixels) + " and " + std::to_string(config.max_pixels));
  }
}

void check_resampling(const Members& members) {
  constexpr std::int64_t kBicubic = 3;  // PIL.Image.Resampling.BICUBIC
  const std::int64_t filter = members.integer_or("resample", kBicubic);
  if (filter != kBicubic) {
    refuse("only bicubic resampling (resample 3) is known, got " + std::to_string(filter));
  }
}

}  // namespace

ImageProcessorConfig ImageProcessorConfig::from_json(const json::object& json) {
  const Members outer(json);
  if (const json::object* inner = outer.object("image_processor")) return from_json(*inner);
  const Members& members = outer;
  ImageProcessorConfig config;
  config.patch_size = positive(members, "patch_size", config.patch_size);
  config.temporal_patch_size = positive(members, "temporal_patch_size", config.temporal_patch_size);
  config.merge_size = positive(members, "merge_size", config.merge_size);
  read_pixel_bounds(members, config);
  check_resampling(members);
  config.do_resize = members.boolean("do_resize").value_or(config.do_resize);
  config.do_rescale = members.boolean("do_rescale").value_or(config.do_rescale);
  config.do_normalize = members.boolean("do_normalize").value_or(config.do_normalize);
  config.rescale_factor = members.number_or("rescale_factor", config.rescale_factor);
  config.mean = per_channel(members, "image_mean", config.mean);
  config.std = per_channel(members, "image_std", config.std);
  if (std::find(config.std.begin(), config.std.end(), 0.0) != config.std.end()) {
    refuse("image_std must not be 0");
  }
  return config;
}

ImageProcessorConfig ImageProcessorConfig::load(const std::filesystem::path& model_dir) {
  const std::filesystem::path own = model_dir / "preprocessor_config.json";
  const bool has_own = std::filesystem::exists(own);
  return from_json(read_json_object(has_own ? own : model_dir / "processor_config.json"));
}

Normalization ImageProcessorConfig::normalization() const {
  Normalization result;
  for (std::size_t c = 0; c < 3; ++c) {
    const double rescale = do_rescale ? rescale_factor : 1.0;
    result.scale[c] = static_cast<float>(do_normalize ? rescale / std[c] : rescale);
    result.offset[c] = static_cast<float>(do_normalize ? -mean[c] / std[c] : 0.0);
  }
  return result;
}

Digest ImageProcessorConfig::digest() const {
  Hasher hasher;
  for (const std::int64_t number :
       {std::int64_t{patch_size}, std::int64_t{temporal_patch_size}, std::int64_t{merge_size},
        min_pixels, max_pixels, std::int64_t{do_resize}, std::int64_t{do_rescale},
        std::int64_t{do_normalize}, std::bit_cast<std::int64_t>(rescale_factor)}) {
    hasher.update_value(number);
  }
  for (const auto& numbers : {mean, std}) {
    for (const double number : numbers) hasher.update_value(std::bit_cast<std::int64_t>(number));
  }
  return hasher.finish();
}

ImageSize smart_resize(ImageSize size, const ImageProcessorConfig& config) {
  const double height = size.height;
  const double width = size.width;
  const double ratio = std::max(height, width) / std::min(height, width);
  constexpr double kMaxRatio = 200;
  if (!(ratio <= kMaxRatio)) {
    refuse("one side may be at most 200 times the other, got " + std::to_string(size.width) +
           " x " + std::to_string(size.height) + " pixels");
  }
  const double factor = config.patch_size * config.merge_size;
  const auto max_pixels = static_cast<double>(config.max_pixels);
  const auto min_pixels = static_cast<double>(config.min_pixels);
  // nearbyint rounds halves to even, as Python's round does.
  double h = std::nearbyint(height / factor) * factor;
  double w = std::nearbyint(width / factor) * factor;
  if (h * w > max_pixels) {
    const double beta = std::sqrt(height * width / max_pixels);
    h = std::max(factor, std::floor(height / beta / factor) * factor);
    w = std::max(factor, std::floor(width / beta / factor) * factor);
  } else if (h * w < min_pixels) {
    const double beta = std::sqrt(min_pixels / (height * width));
    h = std::ceil(height * beta / factor) * factor;
    w = std::ceil(width * beta / factor) * factor;
  }
  return {static_cast<int>(h), static_cast<int>(w)};
}

namespace {

ImageSize target_size(const Pixels& picture, const ImageProcessorConfig& config) {
  const ImageSize size{picture.height, picture.width};
  if (config.do_resize) return smart_resize(size, config);
  const int factor = config.patch_size * config.merge_size;
  if (size.height % factor != 0 || size.width % factor != 0) {
    refuse("without resizing, sides must be multiples of " + std::to_string(factor) + ", got " +
           std::to_string(size.width) + " x " + std::to_string(size.height) + " pixels");
  }
  return size;
}

// Writes one patch, [C, Tp, P, P], whose first pixel is at `rgb` in a picture of `width` pixels.
std::uint8_t* write_patch(const std::uint8_t* rgb, int width, const ImageProcessorConfig& config,
                          std::uint8_t* out) {
  const int side = config.patch_size;
  for (int channel = 0; channel < 3; ++channel) {
    const std::uint8_t* frame = out;
    for (int y = 0; y < side; ++y) {
      const std::uint8_t* from = rgb + static_cast<std::size_t>(y) * width * 3 + channel;
      for (int x = 0; x < side; ++x) *out++ = from[x * 3];
    }
    for (int t = 1; t < config.temporal_patch_size; ++t) {
      out = std::copy_n(frame, side * side, out);
    }
  }
  return out;
}

}  // namespace

Patches make_patches(const Pixels& picture, const ImageProcessorConfig& config) {
  const ImageSize size = target_size(picture, config);
  const bool as_is = size == ImageSize{picture.height, picture.width};
  const Pixels resized = as_is ? Pixels{} : resize_bicubic(picture, size.height, size.width);
  const std::uint8_t* rgb = as_is ? picture.rgb.data() : resized.rgb.data();
  const int side = config.patch_size;
  const int merge = config.merge_size;
  Patches patches;
  patches.grid = {1, size.height / side, size.width / side};
  patches.values.resize(static_cast<std::size_t>(size.height) * size.width * 3 *
                        config.temporal_patch_size);
  std::uint8_t* out = patches.values.data();
  for (int block_y = 0; block_y < patches.grid.h; block_y += merge) {
    for (int block_x = 0; block_x < patches.grid.w; block_x += merge) {
      for (int y = block_y; y < block_y + merge; ++y) {
        for (int x = block_x; x < block_x + merge; ++x) {
          const std::size_t first = static_cast<std::size_t>(y) * side * size.width + x * side;
          out = write_patch(rgb + first * 3, size.width, config, out);
        }
      }
    }
  }
  return patches;
}

}  // namespace pippin::media
