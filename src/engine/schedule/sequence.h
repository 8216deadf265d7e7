// A sequence: one stream of tokens, its state in the engine and its pages. Plain data; owned by the engine's thread once
// submitted.
#pragma once

#include <algorithm>
#include <compare>
#include <cstdint>
#include <functional>
#include <limits>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "engine/answer/token_stream.h"
#include "engine/cache/page_cache.h"
#include "engine/cache/state_cache.h"
#include "engine/constrain/constraint.h"
#include "media/patches.h"
#include "models/positions.h"
#include "pippin/pixels.h"
#include "pippin/request.h"

namespace pippin::models {
struct MediaFeatures;
}

namespace pippin::engine {

/// Queue order, smallest first: priority, then the time at which the prompt would be done if it had begun at arrival. A short or
/// cached prompt passes a long one that arrived less than the long one's own prefill time before.
struct Order {
  int priority = 0;
  double due_ms = 0;
  std::uint64_t number = 0;  ///< number of arrival; breaks ties
  auto operator<=>(const Order&) const = default;
};

/// The patches of an image, cut on first use. They are never cut if the encoder's output is cached. Thread-safe.
class LazyPatches {
 public:
  /// If cut throws, the next get() calls it again.
  explicit LazyPatches(std::function<media::Patches()> cut) : cut_(std::move(cut)) {}

  const media::Patches& get() const {
    std::call_once(once_, [this] {
      patches_ = cut_();
      cut_ = nullptr;  // releases the pixels
    });
    return patches_;
  }

 private:
  mutable std::once_flag once_;
  mutable std::function<media::Patches()> cut_;
  mutable media::Patches patches_;
};

/// A picture in a prompt, or a temporal patch of a video.
struct MediaItem {
  models::MediaSpan span;  ///< its placeholders
  /// The digest of the decoded pixels, of what is made of them (media::patches_digest), and of the salt where there is one.
  Digest digest;
  std::shared_ptr<const LazyPatches> patches;
  std::string field = {};  ///< of the request, for errors that the item is to blame for

  // Set by the engine's thread.
  /// The encoder's output, kept from its arrival until the item's last row is computed.
  std::shared_ptr<const models::MediaFeatures> features = {};
  std::string failure = {};  ///< why the item can't be encoded; empty if it can
  bool encoded = false;      ///< the item has waited for the encoder
};

struct Sequence {
  // Set by who submits.
  std::vector<std::int32_t> tokens;  ///< the prompt, then what was generated
  std::int64_t num_prompt = 0;       ///< tokens of the prompt
  /// Prompt tokens through the last assistant message (exact to a token or two); 0 without one.
  std::int64_t num_history = 0;
  std::vector<MediaItem> media;  ///< in order of their spans
  models::Positions positions;
  SamplingOptions sampling;
  std::uint64_t seed = 0;  ///< sampling.seed, or a random one
  std::int64_t max_tokens =
      0;  ///< limit on generated tokens; > 0, and num_prompt + max_tokens fits the context
  std::vector<std::int32_t> end_tokens;
  std::int64_t min_tokens = 0;  ///< no end token may come before this many generated tokens
  int priority = 0;             ///< lower ones go first
  /// Time by the scheduler's clock at which the sequence fails if it still runs.
  double deadline_ms = std::numeric_limits<double>::infinity();
  std::string adapter;      ///< adapter id; empty: the base model
  PageKey root = root_key;  ///< parent of the first page (see part_cache)
  std::shared_ptr<Constraint>
      constraint;  ///< of the answer, owned by this sequence alone; null: none
  std::shared_ptr<TokenStream> output = std::make_shared<TokenStream>();

  // Set by the scheduler.
  Order order;
  bool stalled = false;          ///< skipped in the last plan, since the client reads too slowly
  std::uint64_t planned_in = 0;  ///< number of the last step that has rows of the sequence
  bool admitted = false;         ///< the sequence has had pages
  std::uint32_t placement_epoch = 0;  ///< counts how often the sequence has lost its pages
  std::int64_t num_computed = 0;  ///< tokens whose KV is in `pages`; < tokens.size() while running
  /// Tokens after num_computed that are scheduled but not committed.
  std::int64_t num_under_way = 0;
  /// Tokens after `tokens` that scheduled steps sample; only the device knows them.
  std::int64_t num_unread = 0;
  int index_in_sampled_batch = 0;  ///< index of the sequence's token in the last sampled batch
  std::vector<PageId> pages;       ///< hold tokens [0, num_computed) and those of scheduled steps
  std::size_t num_published = 0;   ///< the first pages that are in the page cache
  std::size_t window_begin = 0, window_end = 0;  ///< pages whose window pages it uses
  int window_reserve = 0;          ///< window pages that it may use, since it has been placed
  std::size_t window_parting = 0;  ///< pages after which other prompts may part from this one, too
  /// Log-probabilities of the prompt's tokens from the second on, as far as they are known, if sampling.prompt_logprobs asks for them. The runner appends.
  std::vector<TokenLogprobs> scores;
  std::optional<StateSlot> state;  ///< the state of the model's recurrent layers, if it has any
  std::int64_t last_snapshot = 0;  ///< tokens up to the last snapshot of the state; 0 without one
  bool publishable = true;         ///< the next pages may be published
  /// The sequence has room for all of its pages and computes nothing until those on disk have been loaded.
  bool loading_from_disk = false;
  std::size_t num_known = 0;  ///< pages found in the page cache at the last look-up
  std::size_t num_announced =
      0;  ///< the sequence is the one that computes the pages from num_published up to this one
  std::size_t num_to_load = 0;     ///< pages up to this number may come from disk
  std::size_t num_requested = 0;   ///< pages before this number were requested from disk
  bool state_requested = false;    ///< the snapshot at num_to_load was requested from disk
  std::vector<PageKey> page_keys;  ///< keys of the full pages computed so far; they outlive `pages`

  /// Placeholder tokens of images.
  std::int64_t num_media() const {
    std::int64_t count = 0;
    for (const auto& item : media) count += item.span.length;
    return count;
  }
  std::int64_t num_scored() const { return static_cast<std::int64_t>(scores.size()); }
  /// The prompt's log-probabilities are wanted and not all known. Then the cache may only skip tokens [0, num_scored()).
  bool unscored() const { return sampling.prompt_logprobs >= 0 && num_scored() < num_prompt - 1; }
  std::int64_t num_tokens() const { return static_cast<std::int64_t>(tokens.size()); }
  std::int64_t num_generated() const { return num_tokens() - num_prompt; }
  /// Tokens whose KV is in `pages` after the scheduled steps.
  std::int64_t num_planned() const { return num_computed + num_under_way; }
  /// Tokens that steps have to compute, unread ones included. The last token of an answer needs no step.
  std::int64_t num_to_compute() const {
    return std::min(num_tokens() + num_unread, num_prompt + max_tokens - 1);
  }
  /// The host must read a token before the next one can be sampled.
  bool needs_tokens_read() const { return constraint || sampling.penalizes(); }
  bool is_end(std::int32_t token) const {
    return std::find(end_tokens.begin(), end_tokens.end(), token) != end_tokens.end();
  }
};

/// The sequence has no pages and no state any more, whoever has them now: it starts over. Needs no memory.
void lose_place(Sequence& sequence) noexcept;

/// Parts the caches: from now on the sequence shares pages and media features, in memory and on disk, only with sequences of the
/// same salt. Called once, when its media are known and before it is submitted; an empty salt changes nothing.
void part_cache(Sequence& sequence, std::string_view salt);

/// The content of the sequence's tokens [begin, end), as the page cache compares it. They lie in one page that starts at `begin`.
PageContent page_content(const Sequence& sequence, std::int64_t begin, std::int64_t end);

}  // namespace pippin::engine
