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
  std::int64_t grammars = 0;  ///< compiled grammars and what running answers learn of them, at most
  std::int64_t media = 0;     ///< encoded pictures that are kept, at most
  std::int64_t decoded =
      0;  ///< pictures and videos on their way to the encoder or kept decoded, and fetched files, at most
  std::int64_t pages = 0;   ///< the KV page pool; on CPUs taken as it fills
  std::int64_t states = 0;  ///< slots and snapshots of recurrent layers; on CPUs taken as they fill
  /// They are in the machine's memory, and that is not the device's: used() leaves them out.
  bool decoded_apart = false;

  std::int64_t used() const {
    return weights + activations + grammars + media + (decoded_apart ? 0 : decoded) + pages +
           states;
  }
};

/// Grammars of restricted answers (src/text/grammar.h).
struct GrammarStats {
  std::int64_t kept = 0;         ///< compiled ones that wait for the next request
  std::int64_t bytes = 0;        ///< of these and of running answers, as allocated
  std::int64_t limit_bytes = 0;  ///< of the same, at most
  std::int64_t waiting = 0;      ///< to be compiled
  std::int64_t compiled = 0;     ///< since the start
  std::int64_t refused = 0;      ///< since the start: wrong, too large or too slow to compile
  std::int64_t busy = 0;         ///< since the start: turned away for want of a place or of memory
};

/// Pictures and videos before the encoder. Whoever decodes them fills it in: the server.
struct DecodedStats {
  std::int64_t bytes = 0;         ///< that decoding, decoded and kept ones take
  std::int64_t limit_bytes = 0;   ///< of the same, at most
  std::int64_t kept_entries = 0;  ///< kept for later requests
  std::int64_t kept_bytes = 0;    ///< of these
  std::int64_t waiting = 0;       ///< requests that wait for memory
  std::int64_t fetches = 0;       ///< over the network, running or waiting
  std::int64_t fetched_bytes = 0, fetched_limit_bytes = 0;  ///< of files in use; at most
};

}  // namespace pippin
