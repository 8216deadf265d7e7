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
    router.add("GET", "/", [](auto exchange) { exchange->respond({200, {}, "page"}); });
    router.add("GET", "/page/*", [](auto exchange) { exchange->respond({200, {}, "file"}); });
    router.add("GET", "/who", [](auto exchange) {
      exchange->respond({200, {}, exchange->caller().id + (exchange->caller().admin ? "!" : "")});
    });
    router.add("DELETE", "/v1/cache",
               [](auto exchange) { exchange->respond(json_response(200, "{}")); });
    router.add("POST", "/wait", [this](auto exchange) { waiting_.set_value(std::move(exchange)); });
    HttpOptions http;
    http.port = 0;
    server_.emplace(http, workers_);
    server_->start(std::move(router), {},
                   [this](const HttpRequest& head) { return access_->judge(head); });
  }

  TestResponse ask(const std::string& method, const std::string& path,
                   const std::string& headers = "", const std::string& host = "h") {
    TestClient client(server_->port());
    client.send(method + " " + path + " HTTP/1.1\r\nHost: " + host + "\r\nContent-Length: 0\r\n" +
                headers + "\r\n");
    return client.receive();
  }
  int status_from(const std::string& origin, const std::string& host = "localhost:8000") {
    return ask("POST", "/v1/chat/completions", "Origin: " + origin + "\r\n", host).status;
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
  EXPECT_EQ(refused.status, 403);
  EXPECT_FALSE(refused.headers.contains("access-control-allow-origin"));
  const auto unlisted = ask("GET", "/v1/models", other + "X-Api-Key: one\r\n");
  EXPECT_EQ(unlisted.status, 403);
  EXPECT_EQ(error_of(unlisted).at("code"), "origin_not_allowed");
  EXPECT_FALSE(unlisted.headers.contains("access-control-allow-origin"));
}

TEST_F(AccessTest, PrivateNetworksAreAllowedToWhoMayAsk) {
  start({{}, 0, 0, {"https://a.example/"}});
  const std::string asks =
      "Access-Control-Request-Method: POST\r\nAccess-Control-Request-Private-Network: true\r\n";
  const auto mine = ask("OPTIONS", "/v1/models", "Origin: https://a.example\r\n" + asks);
  EXPECT_EQ(mine.status, 200);
  EXPECT_EQ(mine.headers.at("access-control-allow-private-network"), "true");
  const auto other = ask("OPTIONS", "/v1/models", "Origin: https://b.example\r\n" + asks);
  EXPECT_EQ(other.status, 403);
  EXPECT_FALSE(other.headers.contains("access-control-allow-private-network"));
}

TEST_F(AccessTest, OnLoopbackOnlyThisMachinesNamesAreAnswered) {
  AccessOptions options;
  options.on_loopback = true;
  options.bound_host = "127.0.0.1";
  options.allowed_hosts = {"Chat.example.com:443"};
  start(options);
  for (const char* host : {"localhost", "LOCALHOST:8000", "127.0.0.1:1", "[::1]:8000",
                           "app.localhost", "chat.example.com", "chat.example.com:8000"})
    EXPECT_EQ(ask("POST", "/v1/chat/completions", "", host).status, 200) << host;
  for (const char* host : {"evil.example", "evil.example:8000", "127.0.0.1.evil.example",
                           "localhost.evil.example", "127.evil", "192.0.2.1", "example.com", ""})
    for (const char* method : {"GET", "POST", "DELETE", "OPTIONS"})
      for (const char* path : {"/v1/chat/completions", "/v1/cache", "/health", "/no/such/route"}) {
        const auto refused = ask(method, path, "", host);
        EXPECT_EQ(refused.status, 403) << method << path << host;
        EXPECT_EQ(error_of(refused).at("code"), "host_not_allowed");
      }
}

TEST_F(AccessTest, WithoutKeysPagesOfOtherSitesAreRefused) {
  AccessOptions options;
  options.on_loopback = true;
  options.allowed_hosts = {"chat.example.com"};
  start(options);
  for (const char* origin : {"http://localhost:8000", "http://localhost:3000",
                             "http://127.0.0.1:8000", "https://chat.example.com"})
    EXPECT_EQ(status_from(origin), 200) << origin;
  for (const char* origin :
       {"https://evil.example", "http://evil.example:8000", "null", "file://",
        "http://localhost.evil.example", "chrome-extension://abc", "http://192.0.2.1", "x"}) {
    EXPECT_EQ(status_from(origin), 403) << origin;
    EXPECT_EQ(
        ask("DELETE", "/v1/cache", "Origin: " + std::string(origin) + "\r\n", "localhost").status,
        403);
    EXPECT_EQ(
        ask("OPTIONS", "/v1/cache",
            "Access-Control-Request-Method: DELETE\r\nOrigin: " + std::string(origin) + "\r\n",
            "localhost")
            .status,
        403);
  }
}

TEST_F(AccessTest, EveryOriginMayBeAllowed) {
  AccessOptions options;
  options.on_loopback = true;
  options.cors_origins = {"*"};
  start(options);
  EXPECT_EQ(status_from("https://any.example"), 200);
  EXPECT_EQ(status_from("https://any.example", "any.example"),
            403);  // a name that was pointed here
}

// A page has no key of its own, so one that shows it was given it.
TEST_F(AccessTest, WithKeysPagesAndNamesAreNotLookedAt) {
  AccessOptions options;
  options.api_keys = {"one"};
  options.on_loopback = true;
  start(options);
  const std::string page = "X-Api-Key: one\r\nOrigin: https://any.example\r\n";
  EXPECT_EQ(ask("POST", "/v1/chat/completions", page, "any.example").status, 200);
  EXPECT_EQ(ask("POST", "/v1/chat/completions", "Origin: https://any.example\r\n").status, 401);
}

TEST_F(AccessTest, OtherMachinesMayUseAnyName) {
  start({});
  EXPECT_EQ(ask("POST", "/v1/chat/completions", "", "server.lan").status, 200);
  EXPECT_EQ(status_from("http://server.lan:8000", "server.lan:8000"), 200);
  EXPECT_EQ(status_from("http://evil.example", "server.lan:8000"), 403);
}

TEST_F(AccessTest, TellsCallersApart) {
  AccessOptions options;
  options.api_keys = {"one", "two"};
  start(options);
  const auto who = [&](const char* key) {
    return ask("GET", "/who", "X-Api-Key: " + std::string(key) + "\r\n").body;
  };
  EXPECT_NE(who("one"), who("two"));
  EXPECT_EQ(who("one"), who("one"));
  for (const char* key : {"one", "two"}) {
    EXPECT_EQ(who(key).size(), 64u);  // and no admin
    EXPECT_EQ(who(key).find(key), std::string::npos);
  }
}

TEST_F(AccessTest, AdminsAreWhoWasNamed) {
  AccessOptions options;
  options.api_keys = {"one"};
  options.admin_keys = {"root"};
  start(options);
  EXPECT_FALSE(ask("GET", "/who", "X-Api-Key: one\r\n").body.ends_with("!"));
  EXPECT_TRUE(ask("GET", "/who", "X-Api-Key: root\r\n").body.ends_with("!"));
}

TEST_F(AccessTest, WhoIsAloneIsAdmin) {
  AccessOptions options;
  options.api_keys = {"one"};
  start(options);
  EXPECT_TRUE(ask("GET", "/who", "X-Api-Key: one\r\n").body.ends_with("!"));
}

TEST_F(AccessTest, WithoutKeysAllAreOne) {
  start({});
  EXPECT_EQ(ask("GET", "/who").body, "!");
}

TEST_F(AccessTest, AnAdminsKeyAloneIsAskedForToo) {
  AccessOptions options;
  options.admin_keys = {"root"};
  start(options);
  EXPECT_EQ(ask("GET", "/who").status, 401);
}

TEST_F(AccessTest, TheKeyIsJudgedBeforeTheBodyIsSent) {
  start({{"one"}, 0, 0, {}});
  const auto ask_first = [&](const std::string& headers) {
    TestClient client(server_->port());
    client.send("POST /v1/chat/completions HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\n" +
                headers + "\r\n");
    return client.receive();
  };
  for (const char* body : {"Content-Length: 2\r\n", "Content-Length: 15000000\r\n",
                           "Transfer-Encoding: chunked\r\n"}) {
    const TestResponse refused = ask_first(body);
    EXPECT_EQ(refused.status, 401) << body;
    EXPECT_EQ(refused.headers.at("connection"), "close");
    EXPECT_EQ(ask_first(std::string("X-Api-Key: one\r\n") + body).status, 100);
  }
}

TEST_F(AccessTest, WhoNeedsNoKeyIsNotListenedToEither) {
  start({{"one"}, 0, 0, {}});
  TestClient client(server_->port());
  client.send("POST /health HTTP/1.1\r\nHost: h\r\nContent-Length: 15000000\r\n\r\n");
  EXPECT_EQ(client.receive().status, 405);
  TestClient getting(server_->port());
  getting.send(
      "GET /health HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: "
      "15000000\r\n\r\n");
  const TestResponse answered = getting.receive();
  EXPECT_EQ(answered.status, 200);
  EXPECT_EQ(answered.headers.at("connection"), "close");
}

TEST_F(AccessTest, WhoIsRefusedWithoutABodyMayAskAgain) {
  start({{"one"}, 0, 0, {}});
  TestClient client(server_->port());
  for (int i = 0; i < 2; ++i) {
    client.send("GET /v1/models HTTP/1.1\r\nHost: h\r\n\r\n");
    EXPECT_EQ(client.receive().status, 401);
  }
  client.send("GET /v1/models HTTP/1.1\r\nHost: h\r\nX-Api-Key: one\r\n\r\n");
  EXPECT_EQ(client.receive().status, 200);
}

TEST_F(AccessTest, ThePageNeedsNoKeyUnlikeAllElse) {
  AccessOptions options;
  options.api_keys = {"secret"};
  start(options);
  for (const std::string path : {"/", "//", "/page/main.js", "/page/vendor/marked.esm.js"})
    EXPECT_EQ(ask("GET", path).status, 200) << path;
  for (const std::string path :
       {"/v1/models", "/v1/", "/page", "/pages/x", "/v1/page/main.js", "/who"})
    EXPECT_EQ(ask("GET", path).status, 401) << path;
  for (const std::string method : {"POST", "DELETE", "PUT"})
    EXPECT_EQ(ask(method, "/").status, 401) << method;
}

TEST_F(AccessTest, ThePageIsShownUnderTheServersOwnNamesAlone) {
  AccessOptions options;
  options.on_loopback = true;
  start(options);
  for (const std::string path : {"/", "/page/main.js"}) {
    EXPECT_EQ(ask("GET", path, "", "localhost").status, 200);
    EXPECT_EQ(ask("GET", path, "", "evil.example").status, 403);
    EXPECT_EQ(ask("GET", path, "Origin: http://evil.example\r\n", "localhost").status, 403);
  }
}

}  // namespace
}  // namespace pippin::server
