// The page's routes: what is answered, with which headers, to whom.
#include "server/page/page.h"

#include <gtest/gtest.h>

#include <optional>
#include <string>

#include "base/thread_pool.h"
#include "server/access.h"
#include "server/http/server.h"
#include "server/http/test_client.h"
#include "server/page/page_files.h"

namespace pippin::server {
namespace {

using namespace testing;

class PageTest : public ::testing::Test {
 protected:
  void start(AccessOptions access = {}) {
    access_.emplace(std::move(access));
    Router router;
    add_page_routes(router);
    router.add("GET", "/v1/models",
               [](auto exchange) { exchange->respond(json_response(200, "{}")); });
    HttpOptions http;
    http.port = 0;
    server_.emplace(http, workers_);
    server_->start(std::move(router), {},
                   [this](const HttpRequest& head) { return access_->judge(head); });
  }

  TestResponse ask(const std::string& method, const std::string& path,
                   const std::string& headers = "", const std::string& host = "localhost") {
    TestClient client(server_->port());
    client.send(method + " " + path + " HTTP/1.1\r\nHost: " + host + "\r\n" + headers + "\r\n");
    return client.receive(method == "HEAD");
  }

  ThreadPool workers_{2};
  std::optional<Access> access_;
  std::optional<HttpServer> server_;
};

TEST_F(PageTest, ServesEveryFileWithItsType) {
  start();
  ASSERT_GT(page_files().size(), 20u);
  for (const PageFile& file : page_files()) {
    const auto response = ask("GET", "/page/" + std::string(file.name));
    EXPECT_EQ(response.status, 200) << file.name;
    EXPECT_EQ(response.headers.at("content-type"), file.type) << file.name;
    EXPECT_TRUE(response.body == file.bytes) << file.name;
  }
  const auto page = ask("GET", "/");
  EXPECT_EQ(page.body, ask("GET", "/page/index.html").body);
  EXPECT_EQ(page.headers.at("content-type"), "text/html; charset=utf-8");
}

TEST_F(PageTest, IsSmallerThan500Kilobytes) {
  std::size_t bytes = 0;
  for (const PageFile& file : page_files()) bytes += file.bytes.size();
  EXPECT_LT(bytes, 500'000u);
}

TEST_F(PageTest, LetsNothingElseRunOrLoad) {
  start();
  for (const std::string path : {"/", "/page/main.js", "/page/style.css"}) {
    const auto response = ask("GET", path);
    const std::string policy = response.headers.at("content-security-policy");
    EXPECT_TRUE(policy.starts_with("default-src 'none'; script-src 'self'; ")) << policy;
    for (const char* loose : {"unsafe", "http:", "https:", "*"})
      EXPECT_EQ(policy.find(loose), std::string::npos) << loose;
    EXPECT_NE(policy.find("frame-ancestors 'none'"), std::string::npos);
    EXPECT_EQ(response.headers.at("x-content-type-options"), "nosniff");
    EXPECT_EQ(response.headers.at("referrer-policy"), "no-referrer");
  }
}

TEST_F(PageTest, HoldsNoScriptOrStyleInItsMarkup) {
  for (const PageFile& file : page_files()) {
    if (!file.type.starts_with("text/html")) continue;
    for (const char* inside : {"<style", "style=\"", "onclick", "onload", "javascript:", "://"})
      EXPECT_EQ(file.bytes.find(inside), std::string_view::npos) << inside;
  }
}

TEST_F(PageTest, IsSentAgainOnlyWhereItHasChanged) {
  start();
  const std::string tag = ask("GET", "/").headers.at("etag");
  for (const std::string& tags : {tag, "W/" + tag, "\"other\", " + tag}) {
    const auto same = ask("GET", "/", "If-None-Match: " + tags + "\r\n");
    EXPECT_EQ(same.status, 304) << tags;
    EXPECT_EQ(same.body, "");
    EXPECT_EQ(same.headers.at("etag"), tag);
  }
  EXPECT_EQ(ask("GET", "/", "If-None-Match: \"other\"\r\n").status, 200);
  EXPECT_EQ(ask("GET", "/").headers.at("cache-control"), "no-cache");
}

TEST_F(PageTest, AnswersHeadWithoutABody) {
  start();
  const auto head = ask("HEAD", "/");
  EXPECT_EQ(head.status, 200);
  EXPECT_EQ(head.body, "");
  EXPECT_EQ(head.headers.at("content-length"), std::to_string(ask("GET", "/").body.size()));
}

TEST_F(PageTest, HasNoOtherFilesOrMethods) {
  start();
  for (const std::string path : {"/page/", "/page/none.js", "/page/../page/main.js", "/page/vendor",
                                 "/page/%2e%2e/etc/passwd", "/index.html", "/page/stamp"})
    EXPECT_EQ(ask("GET", path).status, 404) << path;
  EXPECT_EQ(ask("POST", "/", "Content-Length: 0\r\n").status, 405);
  EXPECT_EQ(ask("DELETE", "/page/main.js").status, 405);
}

TEST_F(PageTest, NeedsNoKeyUnlikeAllElse) {
  start({.api_keys = {"secret"}});
  EXPECT_EQ(ask("GET", "/").status, 200);
  EXPECT_EQ(ask("HEAD", "/").status, 200);
  EXPECT_EQ(ask("GET", "/page/main.js").status, 200);
  for (const std::string path : {"/v1/models", "//", "/v1/", "/page", "/pages/x", "/v1/page/main.js"})
    EXPECT_EQ(ask("GET", path).status, 401) << path;
  for (const std::string method : {"POST", "DELETE", "PUT"})
    EXPECT_EQ(ask(method, "/", "Content-Length: 0\r\n").status, 401) << method;
}

TEST_F(PageTest, IsShownUnderTheServersOwnNamesOnly) {
  start({.on_loopback = true});
  EXPECT_EQ(ask("GET", "/").status, 200);
  EXPECT_EQ(ask("GET", "/", "", "evil.example").status, 403);
  EXPECT_EQ(ask("GET", "/page/main.js", "", "evil.example").status, 403);
  EXPECT_EQ(ask("GET", "/", "Origin: http://evil.example\r\n").status, 403);
}

TEST(PagePaths, AreThePagesAlone) {
  for (const char* path : {"/", "/page/main.js", "/page/vendor/hljs/c.min.js"})
    EXPECT_TRUE(is_page_path(path)) << path;
  for (const char* path : {"", "//", "/page", "/v1/models", "/pages/", "/health", "page/"})
    EXPECT_FALSE(is_page_path(path)) << path;
}

}  // namespace
}  // namespace pippin::server
