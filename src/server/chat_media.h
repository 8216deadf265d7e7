// The pictures and videos of a chat request: URLs -> pixels.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>

#include "media/decoded_cache.h"
#include "media/fetch.h"
#include "pippin/pixels.h"
#include "pippin/video.h"
#include "server/chat_call.h"

namespace pippin::server {

/// What the pictures and videos of one request may cost.
struct ChatMediaLimits {
  ImageLimits image;
  VideoLimits video;
  /// height * width over all pictures and sampled frames of a request, which are in memory together.
  std::int64_t max_pixels = 256 << 20;
};

/// Where a request's media come from.
struct MediaSupply {
  const media::MediaFetcher& fetcher;
  media::DecodedCache& decoded;
};

/// Fetches and decodes `call.media` one after the other into call.request. Videos are sampled as the
/// request says, else by `sampling`, the model's own (absent: it takes no videos). Blocks on the network.
/// Stops with Error(cancelled) between two pictures once `gone()`. Any other Error gets the source's
/// field. Returns the number of the videos' audio tracks, which nobody listens to.
int load_media(ChatCall& call, const MediaSupply& supply, const ChatMediaLimits& limits,
               const std::optional<VideoSampling>& sampling, const std::function<bool()>& gone);

}  // namespace pippin::server
