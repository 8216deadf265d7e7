// The pictures and videos of a chat request: URLs -> pixels.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>

#include "base/byte_budget.h"
#include "base/thread_pool.h"
#include "media/decoded_cache.h"
#include "media/fetch.h"
#include "pippin/pixels.h"
#include "pippin/video.h"
#include "server/chat/call.h"
#include "server/chat/request_scope.h"

namespace pippin::server {

/// What the pictures and videos of one request may cost.
struct ChatMediaLimits {
  ImageLimits image;
  VideoLimits video;
  /// height * width over all pictures and sampled frames of a request, which are in memory together.
  std::int64_t max_pixels = 256 << 20;
};

/// What requests share to get their media.
struct MediaSupply {
  const media::MediaFetcher& fetcher;
  media::DecodedCache& decoded;
  ByteBudget& memory;   ///< of pixels, and of what decoding them takes
  ThreadPool& threads;  ///< that decode
};

/// Told the number of the videos' audio tracks, which nobody listens to.
using MediaLoaded = std::function<void(int audio_tracks)>;

/// Gets `call.media` into call.request and returns at once. What is remote is fetched all at once; each file's header then says what
/// its pixels take; when there is memory for all of them, each is decoded on `supply.threads`, in the client's turn. Videos are
/// sampled as the request says, else by `sampling`, the model's own (absent: it takes no videos). Then `loaded` is called, on one of
/// these threads. An Error gets its source's field, and ends the scope. Work stops soon after the scope has ended. The call is not
/// touched by others until then; limits and supply must outlive the exchange.
void load_media(const std::shared_ptr<RequestScope>& scope, std::shared_ptr<ChatCall> call,
                const MediaSupply& supply, const ChatMediaLimits& limits,
                const std::optional<VideoSampling>& sampling, MediaLoaded loaded);

}  // namespace pippin::server
