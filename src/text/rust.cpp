#include "text/rust.h"

#include "pippin/error.h"

namespace pippin::text::rust {

namespace {

// An error's message ends at a NUL, which templates may quote of what a client sent.
std::string without_nul(std::string_view text) {
  std::string out;
  for (const char c : text) c == '\0' ? out += "\\u0000" : out += c;
  return out;
}

}  // namespace

void check(PippinStatus status, const Buffer& error, std::string_view where) {
  if (status == PIPPIN_OK) return;
  const Code code = status == PIPPIN_INVALID ? Code::invalid_argument : Code::internal;
  throw Error(code, "[" + std::string(where) + "] " + without_nul(error.view()));
}

}  // namespace pippin::text::rust
