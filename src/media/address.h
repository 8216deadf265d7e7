// Which network addresses a URL from a request may lead to. Internal to media/.
#pragma once

#include <sys/socket.h>

namespace pippin::media {

/// Whether an IPv4 or IPv6 address belongs to the public internet (IANA's special-purpose registries):
/// false for private, loopback, link-local, shared (CGNAT), multicast, unspecified, documentation and
/// reserved ones, for IPv6 forms that carry such an IPv4 address, and for any other family.
bool is_public_address(const sockaddr& address);

}  // namespace pippin::media
