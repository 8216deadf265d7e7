// Every way in which a request is turned down: one list for the answers, the OpenAPI document and docs/errors.md.
#pragma once

#include <span>
#include <string_view>

namespace pippin::server {

struct ErrorCase {
  int status;
  std::string_view code;  ///< clients act on it, whatever the message says
  std::string_view when;
};

/// In order of the statuses; the first of a status has the code that its errors carry where none says otherwise.
std::span<const ErrorCase> error_table();

/// The code of a status's errors where none says otherwise; empty for a status that is in no row.
std::string_view default_code(int status);

}  // namespace pippin::server
