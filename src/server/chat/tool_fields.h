// Paths of tools' schemas as the client has sent them: each API has its own, and leaves some tools out before the engine counts them.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "server/chat/call.h"

namespace pippin::server {

/// From the engine's words for parts of tools to the request's.
class ToolFields {
 public:
  /// For the tools that `call` has now.
  explicit ToolFields(const ChatCall& call);

  /// The text with each "tools.N.function.parameters" in the client's spelling: "tools.0.input_schema".
  std::string as_sent(std::string_view text) const;

 private:
  std::vector<std::string>
      fields_;  // of the engine's tools, in order; empty where the words are the same
};

}  // namespace pippin::server
