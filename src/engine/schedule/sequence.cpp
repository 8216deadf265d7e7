#include "engine/schedule/sequence.h"

namespace pippin::engine {

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
