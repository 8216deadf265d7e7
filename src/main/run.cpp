#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <iostream>
#include <iterator>
#include <memory>
#include <utility>

#include "main/commands.h"
#include "main/generation_config.h"
#include "main/load.h"
#include "main/model_dir.h"
#include "media/fetch.h"
#include "media/video_processor.h"
#include "pippin/engine.h"
#include "pippin/error.h"

namespace pippin {
namespace {

using Clock = std::chrono::steady_clock;

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

ContentPart load_picture(const std::string& name) {
  Pixels picture =
      is_url(name) ? decode_image(fetch(name, ImageLimits().max_bytes)) : load_image(name);
  return {"", std::make_shared<const Pixels>(std::move(picture)), nullptr};
}

ContentPart load_clip(const std::string& name, const VideoSampling& sampling) {
  Video video = is_url(name) ? decode_video(fetch(name, VideoLimits().max_bytes), sampling)
                             : load_video(name, sampling);
  return {"", nullptr, std::make_shared<const Video>(std::move(video))};
}

std::string read_prompt(const RunCommand& command) {
  if (!command.prompt.empty()) return command.prompt;
  std::string text{std::istreambuf_iterator<char>(std::cin), {}};
  while (text.ends_with('\n')) text.pop_back();
  if (text.empty())
    throw Error(Code::invalid_argument, "the prompt is empty: pippin run MODEL \"prompt\"");
  return text;
}

SamplingOptions sampling_of(const RunCommand& command, SamplingOptions sampling) {
  sampling.temperature = command.temperature.value_or(sampling.temperature);
  sampling.top_p = command.top_p.value_or(sampling.top_p);
  sampling.top_k = command.top_k.value_or(sampling.top_k);
  sampling.min_p = command.min_p.value_or(sampling.min_p);
  sampling.seed = command.seed;
  return sampling;
}

ChatRequest build_request(const RunCommand& command, const std::filesystem::path& model_dir) {
  ChatRequest request;
  if (!command.system.empty())
    request.messages.push_back({"system", {{command.system, nullptr}}, ""});
  Message user{"user", {}, ""};
  for (const std::string& image : command.images) user.content.push_back(load_picture(image));
  if (!command.videos.empty()) {
    const auto sampling = media::VideoProcessorConfig::load(model_dir).sampling;
    for (const std::string& video : command.videos)
      user.content.push_back(load_clip(video, sampling));
  }
  user.content.push_back({read_prompt(command), nullptr});
  request.messages.push_back(std::move(user));
  request.stop = command.stop;
  return request;
}

void print_stats(const Usage& usage, Clock::time_point begun, Clock::time_point first) {
  const auto seconds = [](Clock::duration time) {
    return std::chrono::duration<double>(time).count();
  };
  const double rest = seconds(Clock::now() - first);
  std::fprintf(stderr,
               "[%lld prompt tokens read in %.2f s; %lld tokens generated, %.1f a second]\n",
               static_cast<long long>(usage.prompt_tokens), seconds(first - begun),
               static_cast<long long>(usage.completion_tokens),
               rest > 0 ? static_cast<double>(usage.completion_tokens - 1) / rest : 0.0);
}

// Reasoning goes to standard error: it is not the answer that a script wants.
void print_event(const ChatEvent& event, bool& thinking) {
  if (!event.reasoning.empty()) thinking = true;
  std::cerr << event.reasoning << std::flush;
  if (event.text.empty()) return;
  if (std::exchange(thinking, false)) std::cerr << "\n\n" << std::flush;
  std::cout << event.text << std::flush;
}

}  // namespace

int run(const RunCommand& command, const std::filesystem::path& program) {
  const std::filesystem::path dir = find_model(command.model, program);
  ChatRequest request =
      build_request(command, dir);  // before the load: a mistyped file is told at once
  const std::unique_ptr<Engine> engine = load_model(dir, command.engine);
  request.sampling = sampling_of(command, recommended_sampling(dir));
  const auto begun = Clock::now();
  auto first = begun;
  const auto stream = engine->chat(std::move(request));
  Usage usage;
  bool thinking = false;
  while (const auto event = stream->next()) {
    if (first == begun) first = Clock::now();
    print_event(*event, thinking);
    usage = event->usage;
  }
  std::cout << std::endl;
  if (command.stats) print_stats(usage, begun, first);
  return EXIT_SUCCESS;
}

}  // namespace pippin
