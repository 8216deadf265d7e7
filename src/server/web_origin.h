// Names of hosts and origins as browsers send them, and which are this machine's.
#pragma once

#include <string>
#include <string_view>

namespace pippin::server {

/// The host of "name:port", "[::1]:port" or a bare name: lower case, without port, brackets and a last dot.
std::string host_of(std::string_view authority);

/// The authority of an origin: "name:port" of "https://name:port"; empty where it is no such.
std::string_view authority_of(std::string_view origin);

/// Whether a host (as host_of gives it) is this machine to whoever asks it, and to no DNS server's liking: localhost and names below it,
/// addresses of the loopback, 0.0.0.0 and ::, the names that containers know their host by, and the machine's own name.
bool is_this_machine(std::string_view host);

/// Whether the page of an origin was served by the server that is asked, whose Host header is given.
bool is_same_origin(std::string_view origin, std::string_view host_header);

}  // namespace pippin::server
