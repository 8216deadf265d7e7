#include "server/chat_media.h"

#include <algorithm>
#include <memory>
#include <string_view>
#include <utility>

#include "media/resample.h"
#include "pippin/error.h"

namespace pippin::server {
namespace {

// OpenAI's detail "low": the model gets at most 512 x 512 pixels.
constexpr int low_detail_side = 512;

std::shared_ptr<const Pixels> shrunk(std::shared_ptr<const Pixels> picture) {
  const int longest = std::max(picture->height, picture->width);
  if (longest <= low_detail_side) return picture;
  const auto scaled = [&](int side) {
    return std::max(1, static_cast<int>(std::int64_t{side} * low_detail_side / longest));
  };
  return std::make_shared<const Pixels>(
      media::resize_bicubic(*picture, scaled(picture->height), scaled(picture->width)));
}

// vLLM's "data:video/jpeg;base64,<frame>,<frame>...": a video as pictures in one URL.
constexpr std::string_view jpeg_frames = "data:video/jpeg;base64,";

std::vector<std::string> frames_in(std::string_view url) {
  std::vector<std::string> urls;
  for (std::size_t at = jpeg_frames.size() - 1; at < url.size();) {  // at the comma before a frame
    const std::size_t end = std::min(url.find(',', at + 1), url.size());
    urls.push_back("data:image/jpeg;base64" + std::string(url.substr(at, end - at)));
    at = end;
  }
  return urls;
}

// Loads the media of one request, counting their pixels. Used by one thread.
class Loader {
 public:
  Loader(const MediaSupply& supply, const ChatMediaLimits& limits,
         const std::optional<VideoSampling>& sampling, const std::function<bool()>& gone)
      : supply_(supply),
        limits_(limits),
        sampling_(sampling),
        gone_(gone),
        pixels_left_(limits.max_pixels) {}

  void load(const MediaSource& source, ContentPart& part) {
    if (source.kind == MediaSource::Kind::picture)
      part.image = picture(source.urls[0], source.low_detail);
    else
      part.video = video(source);
  }

 private:
  void check_client() const {
    if (gone_()) throw Error(Code::cancelled, "[chat] the client has gone away");
  }

  std::shared_ptr<const Pixels> picture(const std::string& url, bool low_detail) {
    check_client();
    ImageLimits now = limits_.image;
    now.max_pixels = std::min(now.max_pixels, pixels_left_);
    auto pixels = supply_.decoded.picture(supply_.fetcher.fetch(url, now.max_bytes), now);
    if (low_detail) pixels = shrunk(std::move(pixels));
    pixels_left_ -= std::int64_t{pixels->height} * pixels->width;
    return pixels;
  }

  std::shared_ptr<const Video> video(const MediaSource& source) {
    if (!sampling_) throw Error(Code::invalid_argument, "this model takes no videos");
    if (source.kind == MediaSource::Kind::frames) return of_pictures(source.urls, source.sampling);
    const std::string& url = source.urls[0];
    if (url.starts_with(jpeg_frames)) return of_pictures(frames_in(url), source.sampling);
    return of_file(url, source.sampling.over(*sampling_));
  }

  std::shared_ptr<const Video> of_pictures(const std::vector<std::string>& urls,
                                           const VideoWishes& wishes) {
    std::vector<Pixels> frames;
    for (const std::string& url : urls) frames.push_back(*picture(url, false));
    return std::make_shared<const Video>(
        make_video(std::move(frames), wishes.fps.value_or(sampling_->fps)));
  }

  std::shared_ptr<const Video> of_file(const std::string& url, const VideoSampling& sampling) {
    check_client();
    VideoLimits now = limits_.video;
    now.max_pixels = std::min(now.max_pixels, pixels_left_);
    auto video = supply_.decoded.video(supply_.fetcher.fetch(url, now.max_bytes), sampling, now);
    for (const Pixels& frame : video->frames)
      pixels_left_ -= std::int64_t{frame.height} * frame.width;
    return video;
  }

  const MediaSupply& supply_;
  const ChatMediaLimits& limits_;
  const std::optional<VideoSampling>& sampling_;
  const std::function<bool()>& gone_;
  std::int64_t pixels_left_;
};

}  // namespace

int load_media(ChatCall& call, const MediaSupply& supply, const ChatMediaLimits& limits,
               const std::optional<VideoSampling>& sampling, const std::function<bool()>& gone) {
  Loader loader(supply, limits, sampling, gone);
  int audio_tracks = 0;
  for (const MediaSource& source : call.media) {
    ContentPart& part = call.request.messages[source.message].content[source.part];
    try {
      loader.load(source, part);
    } catch (const Error& error) {
      if (error.code() == Code::cancelled) throw;
      throw Error(error.code(), error.what(), source.field);
    }
    if (part.video) audio_tracks += part.video->audio_tracks;
  }
  return audio_tracks;
}

}  // namespace pippin::server
