#include "server/http/router.h"

#include <gtest/gtest.h>

namespace pippin::server {
namespace {

const Handler none = [](std::shared_ptr<Exchange>) {};

Router example() {
  Router router;
  router.add("GET", "/v1/models", none);
  router.add("GET", "/v1/models/*", none);
  router.add("POST", "/v1/chat", none);
  router.add("GET", "/v1/chat", none);
  return router;
}

std::string routed(const Router& router, std::string_view method, std::string_view path) {
  const auto match = router.match(method, path);
  return match.route ? match.route->path : "";
}

TEST(Router, FindsExactAndOpenPaths) {
  const Router router = example();
  EXPECT_EQ(routed(router, "GET", "/v1/models"), "/v1/models");
  EXPECT_EQ(routed(router, "HEAD", "/v1/models"), "/v1/models");
  EXPECT_EQ(routed(router, "GET", "/v1/models/a/b"), "/v1/models/*");
  EXPECT_EQ(routed(router, "GET", "/v1/models/"), "");
  EXPECT_EQ(routed(router, "GET", "/v1"), "");
  EXPECT_EQ(routed(router, "GET", "/v1/chat/x"), "");
}

TEST(Router, KnowsWhatClientsMakeOfAddresses) {
  const Router router = example();
  for (const char* path : {"/v1/models", "//v1/models", "/v1//models", "/v1/models/", "/models",
                           "/models//", "/v1/v1/models", "//v1//v1//models//"})
    EXPECT_EQ(router.canonical(path), "/v1/models") << path;
  EXPECT_EQ(router.canonical("/models/a/b"), "/v1/models/a/b");
  EXPECT_EQ(router.canonical("/v1/models/a//b"), "/v1/models/a//b");  // a name's own
  EXPECT_EQ(router.canonical("/v1/models/a/"), "/v1/models/a");
  for (const char* path : {"/", "//", "/v1", "/v2/models", "/v1/v2/models", "/v1/chat/x", ""})
    EXPECT_EQ(router.canonical(path), path);
}

TEST(Router, ListsWhatAPathAllows) {
  const Router router = example();
  EXPECT_EQ(router.match("DELETE", "/v1/chat").allowed, "POST, GET, HEAD");
  EXPECT_EQ(router.match("DELETE", "/v1/models/x").allowed, "GET, HEAD");
  EXPECT_EQ(router.match("GET", "/nothing").allowed, "");
}

TEST(Router, TellsTheErrorsShapeOfARouteAndOfWhatIsBelowIt) {
  Router router;
  router.add("POST", "/v1/messages", {.errors = ErrorShape::anthropic}, none);
  router.add("POST", "/v1/responses", none);
  for (const char* path : {"/v1/messages", "/v1/messages/count_tokens", "/v1/messages/x"})
    EXPECT_EQ(router.error_shape(path), ErrorShape::anthropic) << path;
  for (const char* path : {"/v1/messages2", "/v1/message", "", "/", "/v1/responses"})
    EXPECT_EQ(router.error_shape(path), ErrorShape::openai) << path;
}

}  // namespace
}  // namespace pippin::server
