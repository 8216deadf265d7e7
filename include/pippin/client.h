// Who asks.
#pragma once

#include <string>

namespace pippin {

/// Who wants something done. Where work waits, owners take turns, and so do an owner's connections.
struct Client {
  std::string owner = {};       ///< an API key, or an address
  std::string connection = {};  ///< one of the owner's
};

}  // namespace pippin
