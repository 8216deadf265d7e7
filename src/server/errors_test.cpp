#include "server/errors.h"

#include <gtest/gtest.h>

#include "base/json.h"

namespace pippin::server {
namespace {

json::object error_in(const std::string& body) {
  return parse_json(body, "body").as_object().at("error").as_object();
}

TEST(Errors, HaveOpenAiShape) {
  const auto error =
      error_in(error_body(Error(Code::invalid_argument, "bad \"thing\"", "messages.0")));
  EXPECT_EQ(error.at("message"), "bad \"thing\"");
  EXPECT_EQ(error.at("type"), "invalid_request_error");
  EXPECT_EQ(error.at("param"), "messages.0");
  EXPECT_TRUE(error.at("code").is_null());
}

TEST(Errors, KindsBecomeStatuses) {
  EXPECT_EQ(status_of(Code::invalid_argument), 400);
  EXPECT_EQ(status_of(Code::not_found), 404);
  EXPECT_EQ(status_of(Code::payload_too_large), 413);
  EXPECT_EQ(status_of(Code::resource_exhausted), 429);
  EXPECT_EQ(status_of(Code::deadline_exceeded), 504);
  EXPECT_EQ(status_of(Code::unavailable), 503);
  EXPECT_EQ(status_of(Code::internal), 500);
}

TEST(Errors, TellClientsWhatToDo) {
  const HttpResponse full = error_response(Error(Code::resource_exhausted, "full"));
  EXPECT_EQ(full.headers.get("Retry-After"), "1");
  EXPECT_EQ(error_in(full.body).at("type"), "rate_limit_error");
  EXPECT_EQ(error_in(error_body(Error(Code::not_found, "no model 'x'", "model"))).at("code"),
            "model_not_found");
}

TEST(Errors, BodiesAreValidJsonWhateverTheMessage) {
  const auto error = error_in(error_body(Error(Code::invalid_argument, "\xFF\n\x01", "\xC3")));
  EXPECT_EQ(error.at("message"), "\xEF\xBF\xBD\n\x01");
}

}  // namespace
}  // namespace pippin::server
