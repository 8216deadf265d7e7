// Owns the decision who may use how much of the memory: weights and activations take what they need, encoded pictures and KV
// pages share what is left.
#pragma once

#include <cstdint>

#include "pippin/memory.h"
#include "pippin/options.h"

namespace pippin::engine {

/// What this process may use of the default device's memory, in bytes.
std::int64_t device_memory_bytes();

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

  /// Pages of the pool, at least one. page_bytes: of one over all layers; context: the longest sequence, in tokens. Throws
  /// Error(invalid_argument) with the numbers where not even one fits.
  std::int64_t grant_pages(std::int64_t page_bytes, std::int64_t context);

  const MemorySplit& split() const { return split_; }

 private:
  std::int64_t left() const { return split_.budget - split_.used(); }
  void check_left(const char* field) const;

  const EngineOptions& options_;
  const bool named_;  ///< the budget was given, not chosen
  MemorySplit split_;
};

}  // namespace pippin::engine
