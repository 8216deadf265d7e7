// GET /openapi.json: what this server accepts and answers, from its routes.
#pragma once

#include "base/json.h"
#include "server/http/router.h"

namespace pippin::server {

/// An OpenAPI 3.1 document of the router's routes.
json::object openapi_document(const Router& router);

}  // namespace pippin::server
