// What one step computes.
#pragma once

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
  std::vector<PageCopy> copies;
  std::vector<StateRestore> restores;
  std::vector<StateSave> saves;
  /// Pictures that prompts wait for, in the order in which they are wanted; of running sequences.
  std::vector<MediaItem*> encode;

  bool empty() const { return chunks.empty() && copies.empty() && encode.empty(); }
};

}  // namespace pippin::engine
