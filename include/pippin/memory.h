// What an engine's memory is for.
#pragma once

#include <cstdint>

namespace pippin {

/// How the memory is shared out, in bytes; decided once, at the start.
struct MemorySplit {
  std::int64_t limit = 0;        ///< what this process may use of the device's memory
  std::int64_t budget = 0;       ///< of that, the engine's
  std::int64_t weights = 0;      ///< of the model
  std::int64_t activations = 0;  ///< of the largest step, measured by a dry run
  std::int64_t media = 0;        ///< encoded pictures that are kept, at most
  std::int64_t pages = 0;        ///< the KV page pool; on CPUs taken as it fills

  std::int64_t used() const { return weights + activations + media + pages; }
};

}  // namespace pippin
