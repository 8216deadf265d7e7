#include "base/digest.h"

#include "pippin_rust.h"

namespace pippin {

struct Hasher::State {
  PippinBlake3* hasher = pippin_blake3_new();
  ~State() { pippin_blake3_free(hasher); }
};

Digest blake3(std::span<const std::uint8_t> bytes) {
  Digest digest;
  pippin_blake3(bytes.data(), bytes.size(), digest.data());
  return digest;
}

std::string to_hex(const Digest& digest) {
  static constexpr char digits[] = "0123456789abcdef";
  std::string text;
  for (const std::uint8_t byte : digest) {
    text += digits[byte >> 4];
    text += digits[byte & 15];
  }
  return text;
}

Hasher::Hasher() : state_(std::make_unique<State>()) {}
Hasher::~Hasher() = default;

void Hasher::update(std::span<const std::uint8_t> bytes) {
  pippin_blake3_update(state_->hasher, bytes.data(), bytes.size());
}

Digest Hasher::finish() const {
  Digest digest;
  pippin_blake3_finish(state_->hasher, digest.data());
  return digest;
}

}  // namespace pippin
