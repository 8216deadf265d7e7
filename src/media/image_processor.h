// Pixels -> patches as the Qwen2-VL family's image processor does it (Hugging Face's
// Qwen2VLImageProcessor; Qwen2.5-VL and Qwen3-VL use the same one with other numbers).
#pragma once

#include <array>
#include <boost/json/object.hpp>
#include <cstdint>
#include <filesystem>
#include <span>

#include "media/patches.h"
#include "pippin/pixels.h"

namespace pippin::media {

/// The numbers of a checkpoint's preprocessor_config.json; the defaults are Hugging Face's.
struct ImageProcessorConfig {
  int patch_size = 14;                       ///< P: pixels a side of a patch
  int temporal_patch_size = 2;               ///< Tp: frames a patch; a still picture is repeated
  int merge_size = 2;                        ///< patches a side of what becomes one token
  std::int64_t min_pixels = 56 * 56;         ///< of the resized picture, at least
  std::int64_t max_pixels = 28 * 28 * 1280;  ///< of the resized picture, at most
  bool do_resize = true;     ///< false: sizes must be multiples of patch_size * merge_size already
  bool do_rescale = true;    ///< multiply by rescale_factor
  bool do_normalize = true;  ///< subtract the mean, divide by the standard deviation
  double rescale_factor = 1.0 / 255;
  std::array<double, 3> mean{0.48145466, 0.4578275, 0.40821073};  ///< RGB, after rescaling
  std::array<double, 3> std{0.26862954, 0.26130258, 0.27577711};  ///< RGB, after rescaling

  /// Reads preprocessor_config.json's object, or processor_config.json's with an "image_processor"
  /// inside. Pixel bounds come from min_pixels/max_pixels or size.shortest_edge/longest_edge (which
  /// count pixels, whatever they are called); the former win. Throws Error(invalid_argument) on a
  /// value that makes no sense or asks for another resampling filter than bicubic. What the object
  /// leaves out is as in `defaults`.
  static ImageProcessorConfig from_json(const boost::json::object& json,
                                        const ImageProcessorConfig& defaults);
  static ImageProcessorConfig from_json(const boost::json::object& json);

  /// Reads preprocessor_config.json, or else processor_config.json, of a model's directory.
  /// Throws like from_json, and Error(not_found) where neither is there.
  static ImageProcessorConfig load(const std::filesystem::path& model_dir);

  /// Rescaling and normalising as one multiplication and one addition.
  Normalization normalization() const;

  bool operator==(const ImageProcessorConfig&) const = default;
};

/// Height and width in pixels.
struct ImageSize {
  int height = 0;
  int width = 0;
  bool operator==(const ImageSize&) const = default;
};

/// Bounds on the pixels of all frames of a clip together; of a picture, which is a clip of one.
struct PixelBudget {
  double min_pixels = 0, max_pixels = 0;
  double frames = 1;          ///< by whose pixels a size is scaled
  double counted_frames = 1;  ///< by whose pixels it is judged (a video's in whole patches)
};

/// The nearest size in multiples of `factor` whose pixels lie within the budget, the aspect ratio kept
/// as well as that allows: Hugging Face's smart_resize, of pictures and videos alike.
/// Throws Error(invalid_argument) where one side is more than 200 times the other.
ImageSize smart_resize(double height, double width, double factor, const PixelBudget& budget);

/// The same for a picture: sides are multiples of patch_size * merge_size, the area lies within
/// min_pixels..max_pixels.
ImageSize smart_resize(ImageSize size, const ImageProcessorConfig& config);

/// The size at which a picture is cut up: smart_resize's, or its own where do_resize is off.
/// Throws Error(invalid_argument) on sizes that they refuse.
ImageSize target_size(ImageSize size, const ImageProcessorConfig& config);

/// Resizes (bicubic, as Pillow) and cuts into patches one temporal patch: up to temporal_patch_size
/// frames (at least one), the last of which is repeated to fill it. grid.t is 1.
Patches make_patches(std::span<const Pixels> frames, ImageSize size,
                     const ImageProcessorConfig& config);

/// Names what make_patches gives of the same arguments: BLAKE3 over the frames' pixels, the size and all
/// parameters but those that only decide the size.
Digest patches_digest(std::span<const Pixels> frames, ImageSize size,
                      const ImageProcessorConfig& config);

/// make_patches of a picture at its target_size.
Patches make_patches(const Pixels& picture, const ImageProcessorConfig& config);

}  // namespace pippin::media
