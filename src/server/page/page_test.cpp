// The page's routes: what is answered, with which headers.
#include "server/page/page.h"

#include <gtest/gtest.h>

#include <optional>
#include <string>

#include "base/thread_pool.h"
#include "server/http/server.h"
#include "server/http/test_client.h"
#include "server/page/page_files.h"

namespace pippin::server {
namespace {

using namespace testing;

class PageTest : public ::testing::Test {
 protected:
  PageTest() {
    Router router;
    add_page_routes(router);
    HttpOptions http;
    http.port = 0;
    server_.emplace(http, workers_);
    server_->start(std::move(router));
  }

  TestResponse ask(const std::string& method, const std::string& path,
                   const std::string& headers = "") {
    TestClient client(server_->port());
    client.send(method + " " + path + " HTTP/1.1\r\nHost: h\r\n" + headers + "\r\n");
    return client.receive(method == "HEAD");
  }

  ThreadPool workers_{2};
  std::optional<HttpServer> server_;
};

TEST_F(PageTest, ServesEveryFileWithItsType) {
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
  const auto head = ask("HEAD", "/");
  EXPECT_EQ(head.status, 200);
  EXPECT_EQ(head.body, "");
  EXPECT_EQ(head.headers.at("content-length"), std::to_string(ask("GET", "/").body.size()));
}

TEST_F(PageTest, HasNoOtherFilesOrMethods) {
  for (const std::string path : {"/page/", "/page/none.js", "/page/../page/main.js", "/page/vendor",
                                 "/page/%2e%2e/etc/passwd", "/index.html", "/page/stamp"})
    EXPECT_EQ(ask("GET", path).status, 404) << path;
  EXPECT_EQ(ask("POST", "/", "Content-Length: 0\r\n").status, 405);
  EXPECT_EQ(ask("DELETE", "/page/main.js").status, 405);
}

TEST(PagePaths, AreThePagesAlone) {
  for (const char* path : {"/", "/page/main.js", "/page/vendor/hljs/c.min.js"})
    EXPECT_TRUE(is_page_path(path)) << path;
  for (const char* path : {"", "//", "/page", "/v1/models", "/pages/", "/health", "page/"})
    EXPECT_FALSE(is_page_path(path)) << path;
}

}  // namespace
}  // namespace pippin::server
