// A request's line in the log.
#pragma once

#include "server/observe/request_record.h"

namespace pippin::server {

/// One line a request: what it was, how it ended, its tokens and times. What only reads (health checks above all) is
/// logged at debug level, as it would drown the rest.
void log_request(const RequestRecord& record);

}  // namespace pippin::server
