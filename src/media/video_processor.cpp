#include "media/video_processor.h"

#include <algorithm>
#include <cmath>
#include <cstdio>

#include "base/json.h"
#include "pippin/error.h"

namespace pippin::media {
namespace {

int bounded(const Members& members, std::string_view key, int fallback) {
  const std::int64_t value = members.integer_or(key, fallback);
  constexpr int kMost = 1 << 16;
  if (value < 1 || value > kMost)
    throw Error(Code::invalid_argument, "[video_processor] " + members.path_of(key) +
                                            " must be 1.." + std::to_string(kMost) + ", got " +
                                            std::to_string(value));
  return static_cast<int>(value);
}

VideoSampling read_sampling(const Members& members) {
  VideoSampling sampling;
  sampling.fps = members.number_or("fps", sampling.fps);
  if (!(sampling.fps > 0 && sampling.fps <= 1000))
    throw Error(Code::invalid_argument,
                "[video_processor] fps must be above 0 and at most 1000, got " +
                    std::to_string(sampling.fps));
  sampling.min_frames = bounded(members, "min_frames", sampling.min_frames);
  sampling.max_frames = bounded(members, "max_frames", sampling.max_frames);
  if (members.find("num_frames")) sampling.num_frames = bounded(members, "num_frames", 1);
  return sampling;
}

}  // namespace

VideoProcessorConfig VideoProcessorConfig::from_json(const json::object& json,
                                                     const ImageProcessorConfig& pictures) {
  const Members members(json);
  if (const json::object* inner = members.object("video_processor"))
    return from_json(*inner, pictures);
  VideoProcessorConfig config;
  config.frames = pictures;
  config.frames.min_pixels = 128 * 32 * 32;
  config.frames.max_pixels = 768 * 32 * 32;
  config.frames = ImageProcessorConfig::from_json(json, config.frames);
  config.sampling = read_sampling(members);
  config.cap_pixels_per_frame = members.boolean("cap_pixels_per_frame").value_or(false);
  config.max_video_tokens = bounded(members, "max_video_tokens", config.max_video_tokens);
  return config;
}

VideoProcessorConfig VideoProcessorConfig::load(const std::filesystem::path& model_dir) {
  const auto pictures = ImageProcessorConfig::load(model_dir);
  const std::filesystem::path own = model_dir / "video_preprocessor_config.json";
  if (std::filesystem::exists(own)) return from_json(read_json_object(own), pictures);
  const std::filesystem::path shared = model_dir / "processor_config.json";
  if (std::filesystem::exists(shared)) {
    const json::object json = read_json_object(shared);
    if (Members(json).object("video_processor")) return from_json(json, pictures);
  }
  return from_json({}, pictures);
}

ImageSize video_frame_size(std::size_t num_frames, ImageSize size,
                           const VideoProcessorConfig& config) {
  const ImageProcessorConfig& c = config.frames;
  if (!c.do_resize) return target_size(size, c);
  const double factor = c.patch_size * c.merge_size;
  const auto frames = static_cast<double>(
      std::max<std::size_t>(num_frames, static_cast<std::size_t>(c.temporal_patch_size)));
  double height = size.height, width = size.width;
  if (height < factor || width < factor) {
    const double scale = std::max(factor / height, factor / width);
    height = std::floor(height * scale);
    width = std::floor(width * scale);
  }
  auto budget = static_cast<double>(c.max_pixels);
  if (config.cap_pixels_per_frame) {
    const double share =
        std::min(config.max_video_tokens * factor * factor, std::floor(budget / frames));
    budget = frames * std::max(share, std::floor(static_cast<double>(c.min_pixels) * 1.05));
  }
  const double temporal = c.temporal_patch_size;
  const double counted = std::nearbyint(frames / temporal) * temporal;
  return smart_resize(height, width, factor,
                      {static_cast<double>(c.min_pixels), budget, frames, counted});
}

namespace {

template <class T>
std::span<const T> part(std::span<const T> all, std::size_t index,
                        const VideoProcessorConfig& config) {
  const auto size = static_cast<std::size_t>(config.frames.temporal_patch_size);
  return all.subspan(index * size, std::min(size, all.size() - index * size));
}

}  // namespace

std::size_t num_temporal_patches(std::size_t num_frames, const VideoProcessorConfig& config) {
  const auto size = static_cast<std::size_t>(config.frames.temporal_patch_size);
  return (num_frames + size - 1) / size;
}

std::span<const Pixels> temporal_patch(std::span<const Pixels> frames, std::size_t index,
                                       const VideoProcessorConfig& config) {
  return part(frames, index, config);
}

std::string timestamp_text(std::span<const double> seconds, std::size_t index,
                           const VideoProcessorConfig& config) {
  const std::span<const double> times = part(seconds, index, config);
  char text[64];
  std::snprintf(text, sizeof(text), "<%.1f seconds>", (times.front() + times.back()) / 2);
  return text;
}

}  // namespace pippin::media
