#include "server/chat_images.h"

#include <algorithm>
#include <memory>
#include <utility>

#include "media/resample.h"
#include "pippin/error.h"

namespace pippin::server {
namespace {

// OpenAI's detail "low": the model gets at most 512 x 512 pixels.
constexpr int low_detail_side = 512;

Pixels shrunk(Pixels picture) {
  const int longest = std::max(picture.height, picture.width);
  if (longest <= low_detail_side) return picture;
  const auto scaled = [&](int side) {
    return std::max(1, static_cast<int>(std::int64_t{side} * low_detail_side / longest));
  };
  return media::resize_bicubic(picture, scaled(picture.height), scaled(picture.width));
}

Pixels load(const ImageSource& source, const media::MediaFetcher& fetcher,
            const ImageLimits& limits) {
  try {
    Pixels pixels = decode_image(fetcher.fetch(source.url), limits);
    return source.low_detail ? shrunk(std::move(pixels)) : pixels;
  } catch (const Error& error) {
    throw Error(error.code(), error.what(), source.field);
  }
}

}  // namespace

void load_images(ChatCall& call, const media::MediaFetcher& fetcher, const ChatImageLimits& limits,
                 const std::function<bool()>& gone) {
  std::int64_t left = limits.max_pixels;
  for (const ImageSource& source : call.images) {
    if (gone()) throw Error(Code::cancelled, "[chat] the client has gone away");
    ImageLimits now = limits.image;
    now.max_pixels = std::min(now.max_pixels, left);
    auto pixels = std::make_shared<const Pixels>(load(source, fetcher, now));
    left -= std::int64_t{pixels->height} * pixels->width;
    call.request.messages[source.message].content[source.part].image = std::move(pixels);
  }
}

}  // namespace pippin::server
