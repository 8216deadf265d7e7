#include "server/api.h"

#include <gtest/gtest.h>

#include "server/api_testing.h"

namespace pippin::server {
namespace {

using namespace testing;

TEST_F(ApiTest, ReportsHealth) {
  start();
  EXPECT_EQ(get("/health").status, 200);
  EXPECT_EQ(parse_json(get("/health").body, "body").at("pages").at("free"), 5);
  backend_.healthy_ = false;
  const TestResponse response = get("/health");
  EXPECT_EQ(response.status, 503);
  EXPECT_EQ(parse_json(response.body, "body").at("status"), "unhealthy");
  EXPECT_EQ(parse_json(response.body, "body").at("reason"), "no memory");
}

TEST_F(ApiTest, ReportsTheCaches) {
  start();
  const json::value report = parse_json(get("/v1/cache").body, "body");
  EXPECT_EQ(report.at("pages").at("in_use"), 1);
  EXPECT_EQ(report.at("pages").at("cached_bytes"), 300);
  EXPECT_EQ(report.at("pages").at("limit_bytes"), 900);
  EXPECT_EQ(report.at("media").at("bytes"), 77);
  EXPECT_EQ(report.at("prompts").at("diverged"), 2);
  EXPECT_EQ(report.at("disk").at("misses").at("damaged"), 1);
  EXPECT_GT(report.at("resident_bytes").as_int64(), 1 << 20);
}

TEST_F(ApiTest, ClearsTheCaches) {
  start();
  const std::string request = "DELETE /v1/cache HTTP/1.1\r\nHost: h\r\n\r\n";
  const json::value report = parse_json(send(request).body, "body");
  EXPECT_EQ(report.at("pages"), 3);
  EXPECT_EQ(report.at("media"), 2);
  EXPECT_EQ(report.at("freed_bytes"), 1000);
  backend_.error_ = Error(Code::unavailable, "stopping");
  EXPECT_EQ(send(request).status, 503);
}

}  // namespace
}  // namespace pippin::server
