// The names of finish reasons.
#pragma once

#include "pippin/request.h"

namespace pippin::server {

/// As OpenAI's API has it: "stop".
inline const char* name_of(FinishReason reason) {
  switch (reason) {
    case FinishReason::stop:
      return "stop";
    case FinishReason::length:
      return "length";
    case FinishReason::tool_calls:
      return "tool_calls";
  }
  return "stop";
}

}  // namespace pippin::server
