// docs/errors.md, from the tables by which the server answers.
#pragma once

#include <string>

#include "server/http/router.h"

namespace pippin::server {

/// The errors of error_table(), and for each route that a model answers the fields that it takes with some values only.
std::string error_document(const Router& router);

}  // namespace pippin::server
