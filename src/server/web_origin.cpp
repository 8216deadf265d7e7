#include "server/web_origin.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>

namespace pippin::server {
namespace {

constexpr std::string_view names_of_this_machine[] = {"localhost", "host.docker.internal",
                                                      "host.containers.internal"};

std::string lower(std::string_view text) {
  std::string out(text);
  std::transform(out.begin(), out.end(), out.begin(), [](char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  });
  return out;
}

// Where the port's colon stands, or the end. An address of IPv6 without brackets has colons and no port.
std::size_t end_of_host(std::string_view authority) {
  if (authority.starts_with('[')) {
    const std::size_t close = authority.find(']');
    return close == std::string_view::npos ? authority.size() : close + 1;
  }
  const std::size_t colon = authority.find(':');
  const bool one =
      colon != std::string_view::npos && authority.find(':', colon + 1) == std::string_view::npos;
  return one ? colon : authority.size();
}

bool is_loopback_v4(const in_addr& address) {
  const std::uint32_t bits = ntohl(address.s_addr);
  return bits >> 24 == 127 || bits == 0;
}

bool is_loopback_address(const std::string& host) {
  in_addr v4{};
  if (inet_pton(AF_INET, host.c_str(), &v4) == 1) return is_loopback_v4(v4);
  in6_addr v6{};
  if (inet_pton(AF_INET6, host.c_str(), &v6) != 1) return false;
  if (IN6_IS_ADDR_V4MAPPED(&v6)) {
    std::memcpy(&v4, v6.s6_addr + 12, sizeof v4);
    return is_loopback_v4(v4);
  }
  return IN6_IS_ADDR_LOOPBACK(&v6) || IN6_IS_ADDR_UNSPECIFIED(&v6);
}

// As the system calls it; empty where it doesn't say.
std::string own_name() {
  std::array<char, 256> name{};
  if (gethostname(name.data(), name.size() - 1) != 0) return {};
  return lower(name.data());
}

std::string with_port(std::string_view authority, std::string_view scheme) {
  std::string_view port = authority.substr(end_of_host(authority));
  if (port.empty() || port == ":") port = scheme == "https" ? ":443" : ":80";
  return host_of(authority) + std::string(port);
}

}  // namespace

std::string host_of(std::string_view authority) {
  std::string_view host = authority.substr(0, end_of_host(authority));
  if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
  if (host.ends_with('.')) host.remove_suffix(1);
  return lower(host);
}

std::string_view authority_of(std::string_view origin) {
  const std::size_t scheme = origin.find("://");
  return scheme == std::string_view::npos ? std::string_view() : origin.substr(scheme + 3);
}

bool is_this_machine(std::string_view host) {
  const auto* const names = std::end(names_of_this_machine);
  if (std::find(std::begin(names_of_this_machine), names, host) != names) return true;
  if (host.ends_with(".localhost")) return true;
  return !host.empty() && (is_loopback_address(std::string(host)) || host == own_name());
}

bool is_same_origin(std::string_view origin, std::string_view host_header) {
  const std::string_view authority = authority_of(origin);
  if (authority.empty()) return false;
  const std::string scheme = lower(origin.substr(0, origin.find(':')));
  if (scheme != "http" && scheme != "https") return false;
  return with_port(authority, scheme) == with_port(host_header, scheme);
}

}  // namespace pippin::server
