// The head of an HTTP/1.1 response as text.
#pragma once

#include <cstddef>
#include <optional>
#include <string>

#include "server/http/exchange.h"

namespace pippin::server {

struct ResponseHead {
  int status = 200;
  std::optional<std::size_t> length;  ///< of the body in bytes; none for a stream
  bool chunked = false;
  bool keep_alive = true;
  std::string request_id;
};

/// Status line and fields, up to and including the empty line. Control characters in `headers`
/// become '?', so a value taken from a request can't add fields of its own.
std::string format_head(const ResponseHead& head, const Headers& headers);

/// `data` as one chunk of a chunked body; nothing for empty data, which would end the body.
std::string format_chunk(std::string_view data);

/// `text` with everything but printable ASCII replaced by '?'.
std::string printable(std::string_view text);

}  // namespace pippin::server
