#include "text/rust.h"

#include "pippin/error.h"

namespace pippin::text::rust {

namespace {

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

void check(PippinStatus status, const Buffer& error, std::string_view where) {
  if (status == PIPPIN_OK) return;
  throw Error(code_of(status), "[" + std::string(where) + "] " + std::string(error.view()));
}

}  // namespace pippin::text::rust
