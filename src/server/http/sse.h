// Server-sent events as the APIs use them: events of one JSON text each, unnamed or named by its type.
#pragma once

#include <string>
#include <string_view>

namespace pippin::server {

/// "data: <data>\n\n"; data of several lines gets a "data:" each, as the format demands.
std::string sse_event(std::string_view data);

/// The same with a name: "event: <name>\ndata: <data>\n\n".
std::string sse_event(std::string_view name, std::string_view data);

/// A line that clients skip; keeps proxies from closing a quiet stream.
std::string sse_comment(std::string_view text);

/// The event that ends an OpenAI stream.
inline constexpr std::string_view sse_done = "data: [DONE]\n\n";

}  // namespace pippin::server
