#include "server/web_origin.h"

#include <gtest/gtest.h>

namespace pippin::server {
namespace {

TEST(WebOrigin, FindsTheHost) {
  EXPECT_EQ(host_of("Localhost:8000"), "localhost");
  EXPECT_EQ(host_of("localhost."), "localhost");
  EXPECT_EQ(host_of("[::1]:8000"), "::1");
  EXPECT_EQ(host_of("::1"), "::1");
  EXPECT_EQ(host_of(""), "");
  EXPECT_EQ(authority_of("https://a.example:1"), "a.example:1");
  EXPECT_EQ(authority_of("null"), "");
}

TEST(WebOrigin, KnowsThisMachine) {
  for (const char* host : {"localhost", "app.localhost", "127.0.0.1", "127.9.8.7", "::1",
                           "::ffff:127.0.0.1", "0.0.0.0", "::", "host.docker.internal"})
    EXPECT_TRUE(is_this_machine(host)) << host;
  for (const char* host :
       {"", "localhost.example.com", "127.0.0.1.example.com", "127.evil", "xlocalhost", "128.0.0.1",
        "192.0.2.1", "::2", "::ffff:192.0.2.1", "example.com", "docker.internal"})
    EXPECT_FALSE(is_this_machine(host)) << host;
}

TEST(WebOrigin, TellsAServersOwnPages) {
  EXPECT_TRUE(is_same_origin("http://localhost:8000", "localhost:8000"));
  EXPECT_TRUE(is_same_origin("HTTPS://A.example", "a.example:443"));
  EXPECT_TRUE(is_same_origin("http://a.example:80", "a.example"));
  EXPECT_TRUE(is_same_origin("http://[::1]:8000", "[::1]:8000"));
  EXPECT_FALSE(is_same_origin("http://localhost:8001", "localhost:8000"));
  EXPECT_FALSE(is_same_origin("https://a.example", "a.example:80"));
  EXPECT_FALSE(is_same_origin("null", "null"));
  EXPECT_FALSE(is_same_origin("file://", ""));
  EXPECT_FALSE(is_same_origin("chrome-extension://a.example", "a.example"));
}

}  // namespace
}  // namespace pippin::server
