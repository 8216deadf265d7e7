// Every field that a chat completion may carry, and what becomes of it: nothing is dropped in silence.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "base/json.h"
#include "server/schema/field_table.h"

namespace pippin::server {

std::span<const Field> chat_fields();

/// Checks the top level of a request against the table in chat_fields.cpp. A field that parse_chat honours passes; so does
/// one that cannot change the answer, if its type is right, and one that would change it but has its neutral value.
/// Any other known field throws Error(invalid_argument) naming it. Returns the names that are unknown; a null member
/// counts as absent.
std::vector<std::string> check_chat_fields(const json::object& body);

}  // namespace pippin::server
