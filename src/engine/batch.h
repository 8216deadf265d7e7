// What one step computes.
#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "engine/page_cache.h"
#include "engine/sequence.h"
#include "engine/state_cache.h"

namespace pippin::engine {

/// One sequence's part of a step: computes its tokens [begin, end()).
struct Chunk {
  std::shared_ptr<Sequence> sequence;
  std::int64_t begin;
  int count;
  bool sample;  ///< the last row is the sequence's last token: its logits give the next one
  /// -1, or the chunk is one token that the host has not read: what the step before took for this one of its sampled rows.
  int unread_row;
  std::uint32_t stay;  ///< the sequence's; once that has changed, nobody wants the rows any more

  std::int64_t end() const { return begin + count; }
};

/// Scored rows in a step, but for one each chunk has at least: like a sampled one each is a row of logits over the vocabulary.
inline constexpr int max_scored_rows = 32;

/// Of a chunk, the tokens [begin, end) whose logits tell how likely the prompt's next token was (SamplingOptions::prompt_logprobs).
struct ScoredRows {
  std::int64_t begin = 0, end = 0;
  std::int64_t size() const { return end - begin; }
};

/// They come before the chunk's sampled row.
inline ScoredRows scored_rows(const Chunk& chunk) {
  const Sequence& s = *chunk.sequence;
  if (!s.unscored()) return {};
  const auto begin = std::max(chunk.begin, s.num_scored());
  return {begin, std::max(begin, std::min(chunk.end(), s.num_prompt - 1))};
}

/// The beginning of page `from` is what page `to` begins with; copied before the step's rows are computed.
struct PageCopy {
  PageId from, to;
};

/// A sequence's state becomes that of a snapshot (none: that before the first token), before the step's rows are computed.
struct StateRestore {
  std::optional<StateSlot> from;
  StateSlot to;
};

/// A sequence's state becomes the snapshot after the prefix `key`, once the step's rows are computed.
struct StateSave {
  StateSlot from, to;
  PageKey key;
};

/// One step: decode rows (count 1) come first, then what streams were forced to say, then prompts.
struct Batch {
  std::vector<Chunk> chunks;
  int num_tokens = 0;
  int num_decode = 0;  ///< of the tokens, decode rows
  int num_scored = 0;  ///< of the tokens, scored rows
  std::vector<PageCopy> copies;
  std::vector<StateRestore> restores;
  std::vector<StateSave> saves;
  /// Pictures that prompts wait for, in the order in which they are wanted; of running sequences.
  std::vector<MediaItem*> encode;

  bool empty() const { return chunks.empty() && copies.empty() && encode.empty(); }
};

}  // namespace pippin::engine
