// HTTP by libcurl.
#pragma once

#include <chrono>
#include <memory>

#include "hub/http.h"

namespace pippin::hub {

/// Keeps its connection for the next request. A server that sends nothing for `silence` counts as gone. Proxies are the environment's.
std::unique_ptr<Http> make_curl_http(std::chrono::seconds silence);

}  // namespace pippin::hub
