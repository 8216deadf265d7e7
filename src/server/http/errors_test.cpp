#include "server/http/errors.h"

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
  EXPECT_EQ(error.at("code"), "invalid_value");
}

TEST(Errors, KindsBecomeStatuses) {
  EXPECT_EQ(status_of(Code::invalid_argument), 400);
  EXPECT_EQ(status_of(Code::not_found), 404);
  EXPECT_EQ(status_of(Code::payload_too_large), 413);
  EXPECT_EQ(status_of(Code::resource_exhausted), 429);
  EXPECT_EQ(status_of(Code::context_exceeded), 400);
  EXPECT_EQ(status_of(Code::deadline_exceeded), 504);
  EXPECT_EQ(status_of(Code::unavailable), 503);
  EXPECT_EQ(status_of(Code::internal), 500);
}

TEST(Errors, TellClientsWhatToDo) {
  const HttpResponse full =
      error_response({ErrorShape::openai, "r"}, Error(Code::resource_exhausted, "full"));
  EXPECT_EQ(full.headers.get("Retry-After"), "1");
  EXPECT_EQ(error_in(full.body).at("type"), "rate_limit_error");
  EXPECT_EQ(error_in(error_body(Error(Code::context_exceeded, "too long"))).at("code"),
            "context_length_exceeded");
  EXPECT_EQ(error_in(error_body(Error(Code::not_found, "no model 'x'", "model"))).at("code"),
            "model_not_found");
}

TEST(Errors, HaveAnthropicsShapeOnItsRoutes) {
  const HttpResponse response = error_response({ErrorShape::anthropic, "req_7"},
                                               Error(Code::invalid_argument, "bad", "messages.0"));
  EXPECT_EQ(response.headers.get("request-id"), "req_7");
  EXPECT_EQ(parse_json(response.body, "body"), parse_json(R"({"type": "error",
      "error": {"type": "invalid_request_error", "message": "messages.0: bad"}, "request_id": "req_7"})",
                                                          "expected"));
}

TEST(Errors, HaveAnthropicsTypes) {
  const auto type = [](int status) {
    return std::string(error_in(anthropic_error_body(status, "m", "r")).at("type").as_string());
  };
  EXPECT_EQ(type(400), "invalid_request_error");
  EXPECT_EQ(type(401), "authentication_error");
  EXPECT_EQ(type(404), "not_found_error");
  EXPECT_EQ(type(405), "invalid_request_error");
  EXPECT_EQ(type(413), "request_too_large");
  EXPECT_EQ(type(429), "rate_limit_error");
  EXPECT_EQ(type(500), "api_error");
  EXPECT_EQ(type(503), "overloaded_error");
}

TEST(Errors, BodiesAreValidJsonWhateverTheMessage) {
  const auto error = error_in(error_body(Error(Code::invalid_argument, "\xFF\n\x01", "\xC3")));
  EXPECT_EQ(error.at("message"), "\xEF\xBF\xBD\n\x01");
}

}  // namespace
}  // namespace pippin::server
