#include "main/question.h"

#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "main/generation_config.h"
#include "media/fetch.h"
#include "media/video_processor.h"

namespace pippin {
namespace {

bool is_url(const std::string& name) {
  return name.starts_with("data:") || name.starts_with("http://") || name.starts_with("https://");
}

// The user's own machine and network: any address may be fetched from.
std::vector<std::uint8_t> fetch(const std::string& url, std::int64_t max_bytes) {
  media::FetchOptions options;
  options.allow_private_networks = true;
  options.use_environment_proxy = true;
  return media::MediaFetcher(options).fetch(url, max_bytes);
}

}  // namespace

ContentPart load_picture(const std::string& name) {
  Pixels picture =
      is_url(name) ? decode_image(fetch(name, ImageLimits().max_bytes)) : load_image(name);
  return {"", std::make_shared<const Pixels>(std::move(picture)), nullptr};
}

ContentPart load_clip(const std::string& name, const std::filesystem::path& model_dir) {
  const auto sampling = media::VideoProcessorConfig::load(model_dir).sampling;
  Video video = is_url(name) ? decode_video(fetch(name, VideoLimits().max_bytes), sampling)
                             : load_video(name, sampling);
  return {"", nullptr, std::make_shared<const Video>(std::move(video))};
}

SamplingOptions sampling_of(const AnswerCommand& command, const std::filesystem::path& model_dir) {
  SamplingOptions sampling = recommended_sampling(model_dir);
  sampling.temperature = command.temperature.value_or(sampling.temperature);
  sampling.top_p = command.top_p.value_or(sampling.top_p);
  sampling.top_k = command.top_k.value_or(sampling.top_k);
  sampling.min_p = command.min_p.value_or(sampling.min_p);
  sampling.seed = command.seed;
  return sampling;
}

}  // namespace pippin
