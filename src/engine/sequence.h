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

#include "engine/constraint.h"
#include "engine/page_cache.h"
#include "engine/state_cache.h"
#include "engine/token_stream.h"
#include "media/patches.h"
#include "models/positions.h"
#include "pippin/pixels.h"
#include "pippin/request.h"

namespace pippin::models {
struct MediaFeatures;
}

namespace pippin::engine {

/// Who goes first, the smallest: by priority, then by when the prompt would be done if it had been begun at once. So short prompts,
/// and those of which much is cached, pass long ones, but only those that came less than their own time before.
struct Order {
  int priority = 0;
  double due_ms = 0;
  std::uint64_t number = 0;  ///< of arrival: breaks ties
  auto operator<=>(const Order&) const = default;
};

/// A picture's patches, cut when they are first asked for: where the encoder's output is known, they never are. Thread-safe.
class LazyPatches {
 public:
  /// cut may throw, and is then called again by the next get().
  explicit LazyPatches(std::function<media::Patches()> cut) : cut_(std::move(cut)) {}

  const media::Patches& get() const {
    std::call_once(once_, [this] {
      patches_ = cut_();
      cut_ = nullptr;  // and the pixels with it
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
  /// Of the decoded pixels and what is made of them (media::patches_digest), and of the salt where there is one.
  Digest digest;
  std::shared_ptr<const LazyPatches> patches;

  // Set by the engine's thread.
  /// What the encoder made of it; held from when it is there until its last row is computed.
  std::shared_ptr<const models::MediaFeatures> features = {};
  std::string failure = {};  ///< why it can't be encoded; empty while it may
  bool encoded = false;      ///< it had to wait for the encoder, once at least
};

struct Sequence {
  // Set by who submits.
  std::vector<std::int32_t> tokens;  ///< the prompt, then what was generated
  std::int64_t num_prompt = 0;       ///< tokens of the prompt
  /// Of these, the ones up to the end of the last assistant's message (to a token or two); 0 without one.
  std::int64_t num_history = 0;
  std::vector<MediaItem> media;  ///< in order of their spans
  models::Positions positions;
  SamplingOptions sampling;
  std::uint64_t seed = 0;       ///< sampling.seed, or a random one
  std::int64_t max_tokens = 0;  ///< generated at most; > 0, and prompt + max_tokens fit the context
  std::vector<std::int32_t> end_tokens;
  std::int64_t min_tokens = 0;  ///< generated at least: before, no end token may be
  int priority = 0;             ///< lower ones go first
  /// By the scheduler's clock: fails where it has not ended by then.
  double deadline_ms = std::numeric_limits<double>::infinity();
  std::string adapter;                     ///< its id; empty: the model as it is
  PageKey root = root_key;                 ///< parent of its first page (see part_cache)
  std::shared_ptr<Constraint> constraint;  ///< of its answer, this sequence's alone; null: none
  std::shared_ptr<TokenStream> output = std::make_shared<TokenStream>();

  // Set by the scheduler.
  Order order;
  bool held = false;  ///< its reader was too far behind when the last step was planned: passed over
  std::uint64_t planned_in = 0;   ///< number of the last step that computes some of it
  bool admitted = false;          ///< has been given pages before
  std::uint32_t stay = 0;         ///< counts how often it has let go of its pages
  std::int64_t num_computed = 0;  ///< tokens whose KV is in `pages`; < tokens.size() while running
  /// Of the tokens after these, the ones whose steps are planned or under way.
  std::int64_t num_under_way = 0;
  /// Tokens that those steps sample: they follow `tokens`, and only the device knows them yet.
  std::int64_t num_unread = 0;
  int sampled_row = 0;  ///< of the sampled rows of the last step that samples one for it, which one
  std::vector<PageId> pages;      ///< hold tokens [0, num_computed) and the steps' next ones
  std::size_t num_published = 0;  ///< of `pages`, the first ones: in the page cache
  /// Where sampling.prompt_logprobs wants them: of the prompt's tokens from the second on, those that are known. The runner adds to them.
  std::vector<TokenLogprobs> scores;
  std::optional<StateSlot> state;  ///< of the model's recurrent layers, where it has any
  bool publishable = true;         ///< the pages that follow may be published
  /// Waits for pages that come from disk: has room for all, computes nothing.
  bool reading = false;
  std::size_t num_known = 0;  ///< pages that were in the page cache when last looked at
  std::size_t num_announced =
      0;  ///< from num_published up to this page it is the one that computes them
  std::size_t num_requested = 0;  ///< while reading: they were asked for up to this page number
  std::vector<PageKey>
      page_keys;  ///< of its full pages, as far as they were wanted; they outlive `pages`

  /// Tokens that stand for pictures.
  std::int64_t num_media() const {
    std::int64_t count = 0;
    for (const auto& item : media) count += item.span.length;
    return count;
  }
  std::int64_t num_scored() const { return static_cast<std::int64_t>(scores.size()); }
  /// Log-probabilities of its prompt are wanted and not known yet: then only tokens [0, num_scored()) need not be computed.
  bool unscored() const { return sampling.prompt_logprobs >= 0 && num_scored() < num_prompt - 1; }
  std::int64_t num_tokens() const { return static_cast<std::int64_t>(tokens.size()); }
  std::int64_t num_generated() const { return num_tokens() - num_prompt; }
  /// Tokens whose KV is in `pages` once the steps under way are done.
  std::int64_t num_planned() const { return num_computed + num_under_way; }
  /// Tokens, unread ones included, that steps have to compute: no next one is wanted of an answer's last.
  std::int64_t num_to_compute() const {
    return std::min(num_tokens() + num_unread, num_prompt + max_tokens - 1);
  }
  /// What may follow a token is not known before the host has read it.
  bool needs_tokens_read() const { return constraint || sampling.penalizes(); }
  bool is_end(std::int32_t token) const {
    return std::find(end_tokens.begin(), end_tokens.end(), token) != end_tokens.end();
  }
};

/// Parts the caches: from now on the sequence shares pages and media features, in memory and on disk, only with sequences of the
/// same salt. Called once, when its media are known and before it is submitted; an empty salt changes nothing.
void part_cache(Sequence& sequence, std::string_view salt);

/// What the sequence's tokens [begin, end) are, as the page cache compares them; they lie in one page, which begins at
/// `begin`.
PageContent page_content(const Sequence& sequence, std::int64_t begin, std::int64_t end);

}  // namespace pippin::engine
