// Owns the decision who may use how much of the memory: weights and activations take what they need, encoded pictures and KV
// pages share what is left.
#pragma once

#include <cstdint>

#include "engine/cache/window_pages.h"
#include "pippin/memory.h"
#include "pippin/options.h"

namespace pippin::engine {

/// What this process may use of the default device's memory, in bytes.
std::int64_t device_memory_bytes();

/// Tokens between snapshots where nobody says otherwise. Snapshots take a fifth of the cache's memory at most where that lies in the
/// bounds: four times the tokens whose pages take the room of one. Below 512 tokens (a step's) snapshots save no step, and past 2048
/// what is recomputed is felt. A multiple of page_size.
int default_snapshot_tokens(std::int64_t page_bytes, std::int64_t slot_bytes, int page_size);

/// Used once, on the engine's thread, in the order of its methods. Nothing is granted past the budget, unless a size was asked
/// for by name and no budget was (then with a warning, since the system may still have it).
class MemoryBudget {
 public:
  /// limit: what the process may use of the device's memory. Throws Error(invalid_argument) for a budget above it.
  MemoryBudget(std::int64_t limit, const EngineOptions& options);

  /// What the model takes and can't do without, in bytes. Throws Error(invalid_argument) with the numbers where the budget does
  /// not hold it.
  void take_model(std::int64_t weights, std::int64_t activations);

  /// Bytes of compiled grammars and of what answers learn of them.
  std::int64_t grant_grammars();

  /// Bytes of encoder outputs that may be kept; 0 for a model that takes no pictures.
  std::int64_t grant_media(bool takes_pictures);

  /// Bytes of decoded pictures and videos; 0 for a model that takes none. host_limit: what the process may use of the machine's memory
  /// where that is not the device's; 0 where it is.
  std::int64_t grant_decoded(bool takes_pictures, std::int64_t host_limit);

  /// Bytes of what prompts and answers leave, over all layers.
  struct CacheNeeds {
    std::int64_t page_bytes = 0;
    std::int64_t slot_bytes = 0;  ///< of one sequence's recurrent state; 0 without recurrent layers
    int snapshot_tokens = 0;      ///< see StateCache; of no matter without recurrent layers
    std::int64_t context = 0;     ///< the longest sequence, in tokens
    std::int64_t window_page_bytes = 0;  ///< of page_bytes, those of layers with a window
    WindowNeeds window = {};             ///< of no matter without such layers
  };
  struct CacheGrant {
    std::int64_t pages = 0;  ///< of the pool, at least one
    std::int64_t slots = 0;  ///< of recurrent states: running sequences' and snapshots'
    /// Of the layers with a window, whose pages are then apart; 0: they have all others' pages.
    std::int64_t window_pages = 0;
  };
  /// Shares what is left out between pages, the states of running sequences (half of it at most) and as many snapshots as lie at
  /// even distances in the pages' tokens. Pages of layers with a window are apart where that takes less memory: for the sequences that
  /// may run (half of the attention cache at most), and a window for every 32,768 tokens of the pages, where a later prompt may go on. A model
  /// with recurrent layers has all in the same pages. Throws Error(invalid_argument) with the numbers where not even one page and one state fit.
  CacheGrant grant_cache(const CacheNeeds& needs);

  const MemorySplit& split() const { return split_; }

 private:
  std::int64_t left() const { return split_.budget - split_.used(); }
  std::int64_t running_slots(const CacheNeeds& needs) const;
  double bytes_per_page(const CacheNeeds& needs) const;
  /// That pages and states may take where no number of tokens is named.
  std::int64_t cache_bytes() const;
  /// The pages that the named options, or else the memory, allow: bytes = first + each * pages.
  std::int64_t num_pages(const CacheNeeds& needs, double first, double each) const;
  CacheGrant pages_with_windows(const CacheNeeds& needs) const;
  [[noreturn]] void refuse_cache() const;
  void check_left(const char* field) const;

  const EngineOptions options_;
  const bool named_;  ///< the budget was given, not chosen
  MemorySplit split_;
};

}  // namespace pippin::engine
