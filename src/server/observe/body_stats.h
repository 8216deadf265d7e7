// Bodies of requests, from their arrival until they have been read.
#pragma once

#include <cstdint>

namespace pippin::server {

/// Beyond the first bytes of each, which are free (HttpOptions::own_body_bytes).
struct BodyStats {
  std::int64_t bytes = 0, limit = 0;
  std::int64_t refused = 0;  ///< requests, for want of room, since the start
};

}  // namespace pippin::server
