// A video's frames -> patches as Qwen3-VL's video processor does it (Hugging Face's
// Qwen3VLVideoProcessor): as pictures, but with a budget of pixels for the whole clip.
#pragma once

#include <boost/json/object.hpp>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>

#include "media/image_processor.h"
#include "pippin/video.h"

namespace pippin::media {

/// The numbers of a checkpoint's video_preprocessor_config.json; the defaults are Hugging Face's.
struct VideoProcessorConfig {
  /// Patches and colours; its pixel bounds count the pixels of all frames together.
  ImageProcessorConfig frames;
  VideoSampling sampling;
  /// Bounds a frame, too: by its share of max_pixels and by max_video_tokens.
  bool cap_pixels_per_frame = false;
  int max_video_tokens = 768;

  /// Reads video_preprocessor_config.json's object, or processor_config.json's with a "video_processor"
  /// inside. What it leaves out is as in `pictures`, but for Qwen3-VL's own pixel bounds.
  /// Throws Error(invalid_argument) on a value that makes no sense.
  static VideoProcessorConfig from_json(const boost::json::object& json,
                                        const ImageProcessorConfig& pictures);

  /// Reads the files of a model's directory, ImageProcessorConfig::load's among them; the defaults hold
  /// where none speaks of videos.
  static VideoProcessorConfig load(const std::filesystem::path& model_dir);
};

/// The size to which all frames of a clip of `num_frames` are resized.
/// Throws Error(invalid_argument) where one side is more than 200 times the other.
ImageSize video_frame_size(std::size_t num_frames, ImageSize size,
                           const VideoProcessorConfig& config);

/// The temporal patches of a clip of `num_frames`; the last one may have fewer frames than temporal_patch_size.
std::size_t num_temporal_patches(std::size_t num_frames, const VideoProcessorConfig& config);

/// The frames of a clip's temporal patch number `index`.
std::span<const Pixels> temporal_patch(std::span<const Pixels> frames, std::size_t index,
                                       const VideoProcessorConfig& config);

/// What stands before a temporal patch in the prompt: "<1.3 seconds>", the middle of its first and last
/// frame.
std::string timestamp_text(std::span<const double> seconds, std::size_t index,
                           const VideoProcessorConfig& config);

}  // namespace pippin::media
