// Models that are loaded and unloaded by request.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "server/http/router.h"
#include "server/models/pool.h"
#include "server/schema/field_table.h"

namespace pippin::server {

/// POST /models/load and /models/unload, as llama.cpp's router has them. What they ask for is done soon, which GET /v1/models tells. The pool must
/// outlive the router.
void add_model_routes(Router& router, ModelPool& models);

std::span<const Field> model_fields();

/// The model that a query names ("model=org/name", percent-encoded); empty: it names none.
std::string model_in(std::string_view query);

}  // namespace pippin::server
