// BLAKE3-256: the hash behind every content-addressed cache.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <span>
#include <string>

#include "pippin/pixels.h"

namespace pippin {

/// BLAKE3 of `bytes`.
Digest blake3(std::span<const std::uint8_t> bytes);

/// Hashes digests as keys of a hash table: any bytes of a cryptographic hash are evenly spread.
struct DigestHash {
  std::size_t operator()(const Digest& digest) const {
    std::size_t hash;
    std::memcpy(&hash, digest.data(), sizeof hash);
    return hash;
  }
};

/// Lower-case hexadecimal, 64 characters.
std::string to_hex(const Digest& digest);

/// Incremental BLAKE3 over several pieces. Not thread-safe.
class Hasher {
 public:
  Hasher();
  ~Hasher();
  Hasher(const Hasher&) = delete;
  Hasher& operator=(const Hasher&) = delete;

  void update(std::span<const std::uint8_t> bytes);
  /// Adds the object's bytes; only for types without padding, so that equal values hash equally.
  template <class T>
    requires std::has_unique_object_representations_v<T>
  void update_value(const T& value) {
    update({reinterpret_cast<const std::uint8_t*>(&value), sizeof(T)});
  }
  Digest finish() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace pippin
