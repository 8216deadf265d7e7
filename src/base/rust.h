// What every caller of the Rust library needs: its buffers owned, its failures thrown.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "pippin_rust.h"

namespace pippin::rust {

/// Owns a buffer that the library filled.
class Buffer {
 public:
  Buffer() = default;
  ~Buffer() { pippin_buffer_free(&raw_); }
  Buffer(const Buffer&) = delete;
  Buffer& operator=(const Buffer&) = delete;

  PippinBuffer* out() { return &raw_; }
  std::string_view view() const { return {reinterpret_cast<const char*>(raw_.data), raw_.size}; }

 private:
  PippinBuffer raw_{nullptr, 0};
};

inline const std::uint8_t* bytes(std::string_view text) {
  return reinterpret_cast<const std::uint8_t*>(text.data());
}

/// Throws where a call did not succeed: Error(invalid_argument) for bad input, Error(internal) for a bug in the library,
/// Error(resource_exhausted), Error(unavailable) and Error(cancelled) as PippinStatus says; reading "[where] message".
void check(PippinStatus status, std::string_view error, std::string_view where,
           const std::string& field = {});
inline void check(PippinStatus status, const Buffer& error, std::string_view where,
                  const std::string& field = {}) {
  check(status, error.view(), where, field);
}

}  // namespace pippin::rust
