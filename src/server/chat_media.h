// The pictures of a chat request: URLs -> pixels.
#pragma once

#include <cstdint>
#include <functional>

#include "media/fetch.h"
#include "pippin/pixels.h"
#include "server/chat_call.h"

namespace pippin::server {

/// What the pictures of one request may cost.
struct ChatImageLimits {
  ImageLimits image;
  /// height * width over all pictures of a request, which are in memory together.
  std::int64_t max_pixels = 128 << 20;
};

/// Fetches and decodes `call.images` one after the other into call.request. Blocks on the network. Stops with
/// Error(cancelled) between two pictures once `gone()`. Any other Error gets the picture's field.
void load_images(ChatCall& call, const media::MediaFetcher& fetcher, const ChatImageLimits& limits,
                 const std::function<bool()>& gone);

}  // namespace pippin::server
