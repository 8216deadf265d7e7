// Who gets in, over a server with two routes.
#include "server/access.h"

#include <gtest/gtest.h>

#include <atomic>
#include <future>
#include <memory>
#include <optional>
#include <thread>

#include "base/json.h"
#include "base/thread_pool.h"
#include "server/http/server.h"
#include "server/http/test_client.h"

namespace pippin::server {
namespace {

using namespace testing;

class AccessTest : public ::testing::Test {
 protected:
  void start(const AccessOptions& options) {
    access_.emplace(options, [this] { return Access::Clock::time_point{} + now_.load(); });
    Router router;
    router.add("GET", "/health",
               [](auto exchange) { exchange->respond(json_response(200, "{}")); });
    router.add("GET", "/v1/models",
               [](auto exchange) { exchange->respond(json_response(200, "{}")); });
    router.add("POST", "/v1/chat/completions",
               [](auto exchange) { exchange->respond(json_response(200, "{}")); });
    router.add("POST", "/v1/messages",
               [](auto exchange) { exchange->respond(json_response(200, "{}")); });
    router.add("POST", "/wait", [this](auto exchange) { waiting_.set_value(std::move(exchange)); });
    HttpOptions http;
    http.port = 0;
    server_.emplace(http, workers_);
    server_->start(std::move(router), {},
                   [this](const Exchange& exchange) { return access_->judge(exchange); });
  }

  TestResponse ask(const std::string& method, const std::string& path,
                   const std::string& headers = "") {
    TestClient client(server_->port());
    client.send(method + " " + path + " HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n" + headers +
                "\r\n");
    return client.receive();
  }

  std::atomic<std::chrono::seconds> now_{std::chrono::seconds(1000)};
  ThreadPool workers_{2};
  std::optional<Access> access_;
  std::promise<std::shared_ptr<Exchange>> waiting_;
  std::optional<HttpServer> server_;
};

json::value error_of(const TestResponse& response) {
  return parse_json(response.body, "body").at("error");
}

TEST_F(AccessTest, WithoutKeysEverybodyMay) {
  start({});
  EXPECT_EQ(ask("GET", "/v1/models").status, 200);
  EXPECT_EQ(ask("POST", "/v1/chat/completions").status, 200);
}

TEST_F(AccessTest, AKnownKeyIsNeeded) {
  start({{"one", "two"}, 0, 0, {}});
  for (const char* headers :
       {"Authorization: Bearer one\r\n", "authorization: bearer two\r\n", "X-Api-Key: two\r\n"}) {
    EXPECT_EQ(ask("GET", "/v1/models", headers).status, 200) << headers;
    EXPECT_EQ(ask("POST", "/v1/messages", headers).status, 200) << headers;
  }
  for (const char* headers : {"", "Authorization: Bearer three\r\n", "Authorization: Bearer \r\n",
                              "Authorization: one\r\n", "Authorization: Basic one\r\n",
                              "X-Api-Key: o\r\n", "X-Api-Key:\r\n"}) {
    const auto response = ask("GET", "/v1/models", headers);
    EXPECT_EQ(response.status, 401) << headers;
    EXPECT_EQ(response.headers.at("www-authenticate"), "Bearer");
    EXPECT_EQ(error_of(response).at("code"), "invalid_api_key");
    EXPECT_EQ(error_of(response).at("type"), "authentication_error");
  }
  EXPECT_EQ(error_of(ask("POST", "/v1/messages")).at("type"), "authentication_error");
  EXPECT_EQ(ask("GET", "/no/such/route").status, 401);
  EXPECT_EQ(ask("GET", "/health").status, 200);
}

TEST_F(AccessTest, AKeyHasItsRate) {
  start({{"one", "two"}, 2, 0, {}});
  const auto post = [&](const char* key) {
    return ask("POST", "/v1/chat/completions", "X-Api-Key: " + std::string(key) + "\r\n");
  };
  EXPECT_EQ(post("one").headers.at("x-ratelimit-remaining-requests"), "1");
  EXPECT_EQ(post("one").status, 200);
  const auto refused = post("one");
  EXPECT_EQ(refused.status, 429);
  EXPECT_EQ(refused.headers.at("retry-after"), "30");
  EXPECT_EQ(refused.headers.at("x-ratelimit-limit-requests"), "2");
  EXPECT_EQ(refused.headers.at("x-ratelimit-remaining-requests"), "0");
  EXPECT_EQ(refused.headers.at("x-ratelimit-reset-requests"), "60.0s");
  EXPECT_EQ(error_of(refused).at("code"), "rate_limit_exceeded");
  EXPECT_EQ(post("two").status, 200);
  EXPECT_EQ(ask("GET", "/v1/models", "X-Api-Key: one\r\n").status, 200);
  now_ = now_.load() + std::chrono::seconds(31);
  EXPECT_EQ(post("one").status, 200);
  EXPECT_EQ(post("one").status, 429);
}

TEST_F(AccessTest, AKeyHasItsShareOfRunningRequests) {
  start({{"one", "two"}, 0, 1, {}});
  TestClient first(server_->port());
  first.send("POST /wait HTTP/1.1\r\nHost: h\r\nX-Api-Key: one\r\nContent-Length: 0\r\n\r\n");
  const auto post = [&](const char* key) {
    return ask("POST", "/v1/chat/completions", "X-Api-Key: " + std::string(key) + "\r\n");
  };
  auto waiting = waiting_.get_future().get();
  EXPECT_EQ(post("one").status, 429);
  EXPECT_EQ(post("one").headers.at("retry-after"), "1");
  EXPECT_EQ(post("two").status, 200);
  waiting->respond(json_response(200, "{}"));
  waiting.reset();
  EXPECT_EQ(first.receive().status, 200);
  while (post("one").status != 200) std::this_thread::sleep_for(std::chrono::milliseconds(1));
}

TEST_F(AccessTest, PagesOfAllowedOriginsMayRead) {
  start({{"one"}, 0, 0, {"https://a.example"}});
  const std::string mine = "Origin: https://a.example\r\n", other = "Origin: https://b.example\r\n";
  const auto asked = ask("OPTIONS", "/v1/chat/completions",
                         mine +
                             "Access-Control-Request-Method: POST\r\n"
                             "Access-Control-Request-Headers: authorization,x-stainless-os\r\n");
  EXPECT_EQ(asked.status, 200);
  EXPECT_EQ(asked.headers.at("access-control-allow-origin"), "https://a.example");
  EXPECT_EQ(asked.headers.at("access-control-allow-headers"), "authorization,x-stainless-os");
  EXPECT_EQ(ask("GET", "/v1/models", mine + "X-Api-Key: one\r\n")
                .headers.at("access-control-allow-origin"),
            "https://a.example");
  // So that a page can tell why.
  EXPECT_EQ(ask("GET", "/v1/models", mine).headers.at("access-control-allow-origin"),
            "https://a.example");
  const auto refused =
      ask("OPTIONS", "/v1/models", other + "Access-Control-Request-Method: GET\r\n");
  EXPECT_FALSE(refused.headers.contains("access-control-allow-origin"));
  EXPECT_FALSE(ask("GET", "/v1/models", other + "X-Api-Key: one\r\n")
                   .headers.contains("access-control-allow-origin"));
}

}  // namespace
}  // namespace pippin::server
