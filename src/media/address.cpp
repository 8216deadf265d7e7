#include "media/address.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>

namespace pippin::media {
namespace {

// A network: the leading `bits` of an address in network order.
struct Network {
  std::array<std::uint8_t, 16> prefix;
  int bits;

  bool contains(const std::uint8_t* address) const {
    const int whole = bits / 8;
    if (!std::equal(prefix.begin(), prefix.begin() + whole, address)) return false;
    return bits % 8 == 0 || (prefix[whole] ^ address[whole]) >> (8 - bits % 8) == 0;
  }
};

constexpr Network kSpecialV4[] = {
    {{0}, 8},              // this network
    {{10}, 8},             // private
    {{100, 64}, 10},       // shared between a carrier's customers (CGNAT)
    {{127}, 8},            // loopback
    {{169, 254}, 16},      // link-local; clouds keep their credentials there
    {{172, 16}, 12},       // private
    {{192, 0, 0}, 24},     // protocol assignments
    {{192, 0, 2}, 24},     // documentation
    {{192, 88, 99}, 24},   // 6to4 relays, withdrawn
    {{192, 168}, 16},      // private
    {{198, 18}, 15},       // benchmarks
    {{198, 51, 100}, 24},  // documentation
    {{203, 0, 113}, 24},   // documentation
    {{224}, 4},            // multicast
    {{240}, 4},            // reserved, broadcast
};

constexpr Network kTranslatedV4 = {{0x00, 0x64, 0xff, 0x9b},
                                   96};        // NAT64: IPv4 in the last 4 bytes
constexpr Network k6to4 = {{0x20, 0x02}, 16};  // IPv4 in bytes 2..5
constexpr Network kGlobalUnicast = {{0x20},
                                    3};  // all other public IPv6; ::1, fe80::, fc00:: lie outside

constexpr Network kSpecialGlobalV6[] = {
    {{0x20, 0x01}, 23},              // protocol assignments, Teredo
    {{0x20, 0x01, 0x0d, 0xb8}, 32},  // documentation
    {{0x3f, 0xff}, 20},              // documentation
};

template <std::size_t N>
bool any_contains(const Network (&networks)[N], const std::uint8_t* address) {
  return std::any_of(std::begin(networks), std::end(networks),
                     [&](const Network& network) { return network.contains(address); });
}

bool is_public_v4(const std::uint8_t* address) { return !any_contains(kSpecialV4, address); }

bool is_public_v6(const std::uint8_t* address) {
  if (kTranslatedV4.contains(address)) return is_public_v4(address + 12);
  if (k6to4.contains(address)) return is_public_v4(address + 2);
  return kGlobalUnicast.contains(address) && !any_contains(kSpecialGlobalV6, address);
}

}  // namespace

bool is_public_address(const sockaddr& address) {
  if (address.sa_family == AF_INET) {
    std::uint8_t bytes[4];
    std::memcpy(bytes, &reinterpret_cast<const sockaddr_in&>(address).sin_addr, sizeof(bytes));
    return is_public_v4(bytes);
  }
  if (address.sa_family == AF_INET6) {
    std::uint8_t bytes[16];
    std::memcpy(bytes, &reinterpret_cast<const sockaddr_in6&>(address).sin6_addr, sizeof(bytes));
    return is_public_v6(bytes);
  }
  return false;
}

}  // namespace pippin::media
