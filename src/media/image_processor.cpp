#include "media/image_processor.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <string>
#include <string_view>
#include <vector>

#include "base/digest.h"
#include "base/json.h"
#include "media/digest.h"
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
  return from_json(json, {});
}

ImageProcessorConfig ImageProcessorConfig::from_json(const json::object& json,
                                                     const ImageProcessorConfig& defaults) {
  const Members members(json);
  if (const json::object* inner = members.object("image_processor"))
    return from_json(*inner, defaults);
  ImageProcessorConfig config = defaults;
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

ImageSize smart_resize(double height, double width, double factor, const PixelBudget& budget) {
  const double ratio = std::max(height, width) / std::min(height, width);
  constexpr double kMaxRatio = 200;
  if (!(ratio <= kMaxRatio)) {
    refuse("one side may be at most 200 times the other, got " +
           std::to_string(static_cast<std::int64_t>(width)) + " x " +
           std::to_string(static_cast<std::int64_t>(height)) + " pixels");
  }
  // nearbyint rounds halves to even, as Python's round does.
  double h = std::nearbyint(height / factor) * factor;
  double w = std::nearbyint(width / factor) * factor;
  if (budget.counted_frames * h * w > budget.max_pixels) {
    const double beta = std::sqrt(budget.frames * height * width / budget.max_pixels);
    h = std::max(factor, std::floor(height / beta / factor) * factor);
    w = std::max(factor, std::floor(width / beta / factor) * factor);
  } else if (budget.counted_frames * h * w < budget.min_pixels) {
    const double beta = std::sqrt(budget.min_pixels / (budget.frames * height * width));
    h = std::ceil(height * beta / factor) * factor;
    w = std::ceil(width * beta / factor) * factor;
  }
  return {static_cast<int>(h), static_cast<int>(w)};
}

ImageSize smart_resize(ImageSize size, const ImageProcessorConfig& config) {
  return smart_resize(
      size.height, size.width, config.patch_size * config.merge_size,
      {static_cast<double>(config.min_pixels), static_cast<double>(config.max_pixels)});
}

ImageSize target_size(ImageSize size, const ImageProcessorConfig& config) {
  if (config.do_resize) return smart_resize(size, config);
  const int factor = config.patch_size * config.merge_size;
  if (size.height % factor != 0 || size.width % factor != 0) {
    refuse("without resizing, sides must be multiples of " + std::to_string(factor) + ", got " +
           std::to_string(size.width) + " x " + std::to_string(size.height) + " pixels");
  }
  return size;
}

namespace {

// The frames at the size, each resized once; those that have it already are left where they are.
class ResizedFrames {
 public:
  ResizedFrames(std::span<const Pixels> frames, ImageSize size) {
    resized_.reserve(frames.size());  // rgb_ points into it
    for (const Pixels& frame : frames) {
      const bool as_is = size == ImageSize{frame.height, frame.width};
      if (!as_is) resized_.push_back(resize_bicubic(frame, size.height, size.width));
      rgb_.push_back(as_is ? frame.rgb.data() : resized_.back().rgb.data());
    }
  }

  // The pixels of frame t, past the end the last one's.
  const std::uint8_t* at(int t) const {
    return rgb_[std::min(static_cast<std::size_t>(t), rgb_.size() - 1)];
  }

 private:
  std::vector<Pixels> resized_;
  std::vector<const std::uint8_t*> rgb_;
};

// Writes one patch, [C, Tp, P, P], whose first pixel is number `first` in frames of `width` pixels.
std::uint8_t* write_patch(const ResizedFrames& frames, std::size_t first, int width,
                          const ImageProcessorConfig& config, std::uint8_t* out) {
  const int side = config.patch_size;
  for (int channel = 0; channel < 3; ++channel) {
    for (int t = 0; t < config.temporal_patch_size; ++t) {
      const std::uint8_t* rgb = frames.at(t) + first * 3 + channel;
      for (int y = 0; y < side; ++y) {
        const std::uint8_t* from = rgb + static_cast<std::size_t>(y) * width * 3;
        for (int x = 0; x < side; ++x) *out++ = from[x * 3];
      }
    }
  }
  return out;
}

}  // namespace

Patches make_patches(std::span<const Pixels> frames, ImageSize size,
                     const ImageProcessorConfig& config) {
  const ResizedFrames resized(frames, size);
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
          out = write_patch(resized, first, size.width, config, out);
        }
      }
    }
  }
  return patches;
}

Digest patches_digest(std::span<const Pixels> frames, ImageSize size,
                      const ImageProcessorConfig& config) {
  Hasher hasher;
  for (const Pixels& frame : frames) hasher.update(pixel_digest(frame));
  for (const int number : {size.height, size.width, config.patch_size, config.temporal_patch_size,
                           config.merge_size, int{config.do_rescale}, int{config.do_normalize}})
    hasher.update_value(number);
  hasher.update_value(std::bit_cast<std::int64_t>(config.rescale_factor));
  for (const auto& numbers : {config.mean, config.std})
    for (const double number : numbers) hasher.update_value(std::bit_cast<std::int64_t>(number));
  return hasher.finish();
}

Patches make_patches(const Pixels& picture, const ImageProcessorConfig& config) {
  return make_patches({&picture, 1}, target_size({picture.height, picture.width}, config), config);
}

}  // namespace pippin::media
