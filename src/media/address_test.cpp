#include "media/address.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>

#include <string>

namespace pippin::media {
namespace {

bool is_public(const std::string& text) {
  sockaddr_storage storage{};
  if (text.find(':') == std::string::npos) {
    auto& v4 = reinterpret_cast<sockaddr_in&>(storage);
    v4.sin_family = AF_INET;
    EXPECT_EQ(inet_pton(AF_INET, text.c_str(), &v4.sin_addr), 1) << text;
  } else {
    auto& v6 = reinterpret_cast<sockaddr_in6&>(storage);
    v6.sin6_family = AF_INET6;
    EXPECT_EQ(inet_pton(AF_INET6, text.c_str(), &v6.sin6_addr), 1) << text;
  }
  return is_public_address(reinterpret_cast<const sockaddr&>(storage));
}

TEST(IsPublicAddress, AcceptsThePublicInternet) {
  for (const char* address :
       {"1.1.1.1",          "8.8.8.8",         "9.255.255.255",     "11.0.0.0",
        "100.63.255.255",   "100.128.0.0",     "126.255.255.255",   "128.0.0.0",
        "169.253.255.255",  "169.255.0.0",     "172.15.255.255",    "172.32.0.0",
        "192.167.255.255",  "192.169.0.0",     "198.17.255.255",    "198.20.0.0",
        "223.255.255.255",  "2606:4700::1111", "2a00:1450:4001::1", "2001:4860:4860::8888",
        "64:ff9b::8.8.8.8", "2002:808:808::1"}) {
    EXPECT_TRUE(is_public(address)) << address;
  }
}

TEST(IsPublicAddress, RefusesEverythingElse) {
  for (const char* address :
       {"0.0.0.0",         "0.1.2.3",         "10.0.0.1",       "10.255.255.255",
        "100.64.0.1",      "100.127.255.255", "127.0.0.1",      "127.255.255.254",
        "169.254.169.254", "172.16.0.1",      "172.31.255.255", "192.0.0.1",
        "192.0.2.1",       "192.168.1.1",     "198.18.0.1",     "198.19.255.255",
        "198.51.100.7",    "203.0.113.9",     "224.0.0.1",      "239.255.255.255",
        "240.0.0.1",       "255.255.255.255"}) {
    EXPECT_FALSE(is_public(address)) << address;
  }
  for (const char* address : {"::", "::1", "::127.0.0.1", "::ffff:127.0.0.1", "::ffff:8.8.8.8",
                              "64:ff9b::10.0.0.1", "64:ff9b:1::8.8.8.8", "100::1", "2001::1",
                              "2001:db8::1", "2002:a00:1::1", "2002:7f00:1::", "3fff::1", "4000::1",
                              "fc00::1", "fd12:3456::1", "fe80::1", "fec0::1", "ff02::1"}) {
    EXPECT_FALSE(is_public(address)) << address;
  }
}

TEST(IsPublicAddress, RefusesOtherFamilies) {
  sockaddr address{};
  address.sa_family = AF_UNIX;
  EXPECT_FALSE(is_public_address(address));
}

}  // namespace
}  // namespace pippin::media
