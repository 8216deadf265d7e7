// A text completion request: JSON -> native types. Past this point there is no JSON.
#pragma once

#include <span>
#include <string_view>

#include "pippin/request.h"
#include "server/chat/call.h"
#include "server/schema/field_table.h"
#include "server/schema/sampling_defaults.h"

namespace pippin::server {

/// See parse_chat.
CompletionCall parse_completion(std::string_view body, const SamplingDefaults& defaults = {});

/// Every field that a completion may carry.
std::span<const Field> completion_fields();

}  // namespace pippin::server
