#include "models/model.h"

#include <utility>

#include "pippin/error.h"

namespace pippin::models {

std::unique_ptr<Encoding> Model::start_encoding(std::span<const media::Patches* const>) const {
  throw Error(Code::invalid_argument,
              "[model] a " + traits().model_type + " model takes no pictures");
}

MediaFeatures Model::encode(const media::Patches& patches) const {
  const media::Patches* const picture = &patches;
  const auto encoding = start_encoding(std::span(&picture, 1));
  while (encoding->advance()) {
  }
  return std::move(encoding->take().front());
}

}  // namespace pippin::models
