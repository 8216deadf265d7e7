// A chat completion request: JSON -> native types.
#pragma once

#include <string_view>

#include "pippin/request.h"
#include "server/chat/call.h"
#include "server/schema/sampling_defaults.h"

namespace pippin::server {

/// Reads the body of POST /v1/chat/completions. `defaults` is how the answer is sampled where the request says nothing.
/// Throws Error(invalid_argument) naming the field that is malformed, out of range or not supported.
ChatCall parse_chat(std::string_view body, const SamplingDefaults& defaults = {});

}  // namespace pippin::server
