#include "text/rust.h"

#include "pippin/error.h"

namespace pippin::text::rust {

void check(PippinStatus status, const Buffer& error, std::string_view where) {
  if (status == PIPPIN_OK) return;
  const Code code = status == PIPPIN_INVALID ? Code::invalid_argument : Code::internal;
  throw Error(code, "[" + std::string(where) + "] " + std::string(error.view()));
}

}  // namespace pippin::text::rust
