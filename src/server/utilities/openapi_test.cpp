// The document that describes the server, and the one about its errors: nothing is missing, and they are current.
#include "server/utilities/error_document.h"

#include <gtest/gtest.h>

#include <fstream>
#include <set>
#include <sstream>

#include "server/api_testing.h"
#include "server/http/errors.h"
#include "server/schema/error_table.h"
#include "server/schema/field_schemas.h"

namespace pippin::server {
namespace {

using namespace testing;
using OpenApiTest = ApiTest;

std::string text_of(const std::filesystem::path& file) {
  std::ifstream in(file);
  std::ostringstream text;
  text << in.rdbuf();
  return text.str();
}

TEST_F(OpenApiTest, DescribesEveryRoute) {
  start();
  const json::value told = parse_json(get("/v1/capabilities").body, "body");
  const json::value document = parse_json(get("/openapi.json").body, "body");
  for (const auto& route : told.at("routes").as_array()) {
    std::string path(route.as_string());
    const auto space = path.find(' ');
    std::string method = path.substr(0, space);
    path = path.substr(space + 1);
    if (path.ends_with("/*")) path.replace(path.size() - 1, 1, "{id}");
    for (char& c : method) c = static_cast<char>(std::tolower(c));
    ASSERT_TRUE(document.at("paths").as_object().contains(path)) << path;
    const json::object& operation = document.at("paths").at(path).at(method).as_object();
    EXPECT_NE(operation.at("summary"), "") << path;
    EXPECT_TRUE(operation.at("responses").as_object().contains("200"));
    EXPECT_TRUE(operation.at("responses").as_object().contains("400"));
  }
}

TEST_F(OpenApiTest, DescribesEveryFieldThatIsHonoured) {
  start();
  const json::value document = parse_json(get("/openapi.json").body, "body");
  for (const auto& [path, item] : document.at("paths").as_object()) {
    const auto* operation = item.as_object().if_contains("post");
    const auto* body = operation ? operation->as_object().if_contains("requestBody") : nullptr;
    if (!body) continue;
    const json::value& schema = body->at("content").at("application/json").at("schema");
    const auto* properties = schema.as_object().if_contains("properties");
    if (!properties) continue;
    for (const auto& [field, description] : properties->as_object())
      EXPECT_TRUE(description.as_object().contains("description"))
          << std::string(path) << ": " << std::string(field) << " (add it to field_schemas.cpp)";
  }
}

TEST(ErrorTable, NamesEveryStatusOnceWithEachCode) {
  std::set<std::pair<int, std::string>> seen;
  for (const ErrorCase& error : error_table()) {
    EXPECT_TRUE(seen.emplace(error.status, error.code).second) << error.status;
    EXPECT_FALSE(error.when.empty());
  }
  for (const Code code : {Code::invalid_argument, Code::not_found, Code::payload_too_large,
                          Code::resource_exhausted, Code::unavailable, Code::internal})
    EXPECT_NE(default_code(status_of(code)), "") << status_of(code);
}

TEST(ErrorTable, GivesEveryErrorACode) {
  for (const ErrorCase& error : error_table()) {
    const json::value body = parse_json(error_body(error.status, "no"), "body");
    EXPECT_EQ(body.at("error").at("code").as_string(), default_code(error.status));
    EXPECT_EQ(body.at("error").at("type").as_string(), error_type(error.status));
  }
}

TEST_F(OpenApiTest, DocumentsErrors) {
  start();
  Router router;
  api_->add_routes(router);
  const auto file = std::filesystem::path(PIPPIN_SOURCE_DIR) / "docs/errors.md";
  if (std::getenv("PIPPIN_WRITE_DOCS")) std::ofstream(file) << error_document(router);
  EXPECT_TRUE(text_of(file) == error_document(router))
      << "docs/errors.md is not current: run this test with PIPPIN_WRITE_DOCS=1 to write it";
}

}  // namespace
}  // namespace pippin::server
