#include "base/rust.h"

#include "pippin/error.h"

namespace pippin::rust {

namespace {

// An error's message ends at a NUL, which templates may quote of what a client sent.
std::string without_nul(std::string_view text) {
  std::string out;
  for (const char c : text) c == '\0' ? out += "\\u0000" : out += c;
  return out;
}

Code code_of(PippinStatus status) {
  switch (status) {
    case PIPPIN_INVALID:
      return Code::invalid_argument;
    case PIPPIN_BUSY:
      return Code::resource_exhausted;
    case PIPPIN_NO_MEMORY:
      return Code::unavailable;
    case PIPPIN_CANCELLED:
      return Code::cancelled;
    default:
      return Code::internal;
  }
}

}  // namespace

void check(PippinStatus status, std::string_view error, std::string_view where,
           const std::string& field) {
  if (status == PIPPIN_OK) return;
  throw Error(code_of(status), "[" + std::string(where) + "] " + without_nul(error), field);
}

}  // namespace pippin::rust
