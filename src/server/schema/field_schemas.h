// What the fields of requests may hold, as JSON Schema, and what they do.
#pragma once

#include <optional>
#include <span>
#include <string_view>

#include "base/json.h"
#include "server/schema/field_table.h"

namespace pippin::server {

/// The schema (with a description) of a field that a route's parser checks itself; `route` tells fields of one name apart. Empty
/// where there is none.
std::optional<json::object> schema_of(std::string_view route, std::string_view field);

/// The schema of a whole request: each field of the table that has a value that passes. Unknown fields are taken, too.
json::object request_schema(std::string_view route, std::span<const Field> fields,
                            std::span<const std::string_view> required);

}  // namespace pippin::server
