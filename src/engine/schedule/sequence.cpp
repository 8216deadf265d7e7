#include "engine/schedule/sequence.h"

namespace pippin::engine {

void lose_place(Sequence& sequence) noexcept {
  ++sequence.placement_epoch;
  sequence.planned_in = 0;
  sequence.num_computed = sequence.num_under_way = sequence.num_unread = 0;
  sequence.pages.clear();
  sequence.num_published = sequence.num_announced = sequence.num_known = 0;
  sequence.window_begin = sequence.window_end = sequence.window_parting = 0;
  sequence.window_reserve = 0;
  sequence.state.reset();
  sequence.last_snapshot = 0;
  sequence.publishable = true;
  sequence.loading_from_disk = sequence.state_requested = false;
  sequence.num_to_load = sequence.num_requested = 0;
  for (auto& item : sequence.media) item.features.reset();
}

void part_cache(Sequence& sequence, std::string_view salt) {
  sequence.root = cache_root(salt);
  for (auto& item : sequence.media) item.digest = salted(sequence.root, item.digest);
}

PageContent page_content(const Sequence& sequence, std::int64_t begin, std::int64_t end) {
  PageContent content;
  content.tokens.assign(sequence.tokens.begin() + begin, sequence.tokens.begin() + end);
  if (begin == 0) content.adapter = sequence.adapter;
  for (const auto& item : sequence.media) {
    const auto from = std::max(begin, item.span.begin),
               to = std::min(end, item.span.begin + item.span.length);
    if (from >= to) continue;
    content.media.push_back({static_cast<std::int32_t>(from - begin),
                             static_cast<std::int32_t>(from - item.span.begin), item.digest});
  }
  return content;
}

}  // namespace pippin::engine
