#include "models/positions.h"

#include <algorithm>

namespace pippin::models {
namespace {

void append(Positions& positions, std::int32_t time, std::int32_t height, std::int32_t width) {
  positions.prompt[0].push_back(time);
  positions.prompt[1].push_back(height);
  positions.prompt[2].push_back(width);
}

void append_picture(Positions& positions, const media::PatchGrid& grid, std::int32_t start) {
  for (int t = 0; t < grid.t; ++t)
    for (int y = 0; y < grid.h; ++y)
      for (int x = 0; x < grid.w; ++x) append(positions, start + t, start + y, start + x);
}

}  // namespace

bool Positions::one_axis(std::int64_t begin, std::int64_t end) const {
  const auto count = std::min(end, static_cast<std::int64_t>(prompt[0].size()));
  for (std::int64_t i = begin; i < count; ++i) {
    const auto n = static_cast<std::size_t>(i);
    if (prompt[0][n] != prompt[1][n] || prompt[0][n] != prompt[2][n]) return false;
  }
  return true;
}

Positions count_positions(std::int64_t, const std::vector<MediaSpan>&) { return {}; }

Positions mrope_positions(std::int64_t num_tokens, const std::vector<MediaSpan>& spans) {
  Positions positions;
  std::int32_t next = 0;
  std::int64_t index = 0;
  const auto text_until = [&](std::int64_t end) {
    for (; index < end; ++index, ++next) append(positions, next, next, next);
  };
  for (const auto& span : spans) {
    text_until(span.begin);
    append_picture(positions, span.merged, next);
    next += std::max({span.merged.t, span.merged.h, span.merged.w});
    index += span.length;
  }
  text_until(num_tokens);
  positions.delta = next - static_cast<std::int32_t>(num_tokens);
  return positions;
}

}  // namespace pippin::models
