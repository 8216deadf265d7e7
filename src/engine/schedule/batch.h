// What one step computes.
#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "engine/cache/page_cache.h"
#include "engine/cache/state_cache.h"
#include "engine/schedule/sequence.h"

namespace pippin::engine {

/// A sequence's recurrent state after its tokens [0, end) is copied to the slot `to` while the step's rows are computed.
struct StateSave {
  StateSlot to;
  std::int64_t end;
};

/// One sequence's part of a step: computes its tokens [begin, end()).
struct Chunk {
  std::shared_ptr<Sequence> sequence;
  std::int64_t begin;
  int count;
  bool sample;  ///< the last row is the sequence's last token: its logits give the next one
  /// Index into the tokens that the previous step samples, which only the device knows; -1 if the host knows the chunk's tokens.
  int device_token_index;
  std::uint32_t
      placement_epoch;  ///< the sequence's at planning; if it has changed, the rows are unwanted
  std::vector<StateSave> saves = {};  ///< snapshots, in order, at ends in (begin, end()]
  /// By page of the sequence: its window page. Any where no row sees it; empty where layers with a window have the sequence's pages.
  std::vector<PageId> window_pages = {};

  std::int64_t end() const { return begin + count; }
};

/// Limit on the scored rows of a step; each chunk may exceed it by one row. A scored row costs a row of logits over the vocabulary.
inline constexpr int max_scored_rows = 32;

/// The tokens [begin, end) of a chunk whose logits score the prompt's next token (SamplingOptions::prompt_logprobs).
struct ScoredRows {
  std::int64_t begin = 0, end = 0;
  std::int64_t size() const { return end - begin; }
};

/// The scored rows of a chunk. They come before its sampled row.
inline ScoredRows scored_rows(const Chunk& chunk) {
  const Sequence& s = *chunk.sequence;
  if (!s.unscored()) return {};
  const auto begin = std::max(chunk.begin, s.num_scored());
  return {begin, std::max(begin, std::min(chunk.end(), s.num_prompt - 1))};
}

/// Page `to` becomes a copy of page `from` before the step's rows are computed. Only its beginning is of use.
struct PageCopy {
  PageId from, to;
};

/// A sequence's recurrent state becomes a copy of the snapshot `from`, or the initial state, before the step's rows are computed.
struct StateRestore {
  std::optional<StateSlot> from;
  StateSlot to;
};

/// One step: decode rows (chunks of one token) come first, then forced tokens of running answers, then prompts.
struct Batch {
  std::vector<Chunk> chunks;
  int num_tokens = 0;
  int num_decode = 0;  ///< decode rows among the tokens
  int num_scored = 0;  ///< scored rows among the tokens
  std::vector<PageCopy> copies;
  std::vector<PageCopy> window_copies;  ///< the same, of window pages
  std::vector<StateRestore> restores;
  /// Images of running sequences that prompts wait for, most urgent first.
  std::vector<MediaItem*> encode;

  bool empty() const {
    return chunks.empty() && copies.empty() && restores.empty() && encode.empty();
  }
};

}  // namespace pippin::engine
