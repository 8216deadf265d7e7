// Which tools an answer shall call, whatever API says so.
#pragma once

#include <string>
#include <vector>

#include "base/json.h"
#include "pippin/request.h"

namespace pippin::server {

struct ToolWish {
  enum class Kind {
    automatic,  ///< as the model likes
    none,       ///< it sees no tools
    required,   ///< at least one call
  };
  Kind kind = Kind::automatic;
  std::vector<std::string> names = {};  ///< of those that it may call; empty: any
};

/// Whether one of the tools, objects all of them, asks for arguments that its schema allows.
bool any_strict(const json::array& tools);

/// Has `request`, whose tools are set, answered so. Throws Error(invalid_argument) naming `field` for what can't be done, or the
/// tool that is not offered.
void apply(const ToolWish& choice, const std::string& field, ChatRequest& request);

}  // namespace pippin::server
