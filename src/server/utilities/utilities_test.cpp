// The routes beside answers, over a fake engine whose tokens are bytes.
#include "server/utilities/utilities.h"

#include <gtest/gtest.h>

#include "server/api_testing.h"

namespace pippin::server {
namespace {

using namespace testing;

class UtilitiesTest : public ApiTest {
 protected:
  TestResponse post(const std::string& path, const std::string& body) {
    return send("POST " + path + " HTTP/1.1\r\nHost: h\r\nContent-Length: " +
                std::to_string(body.size()) + "\r\n\r\n" + body);
  }
  json::value ask(const std::string& path, const std::string& body, int status = 200) {
    const auto response = post(path, body);
    EXPECT_EQ(response.status, status) << response.body;
    return parse_json(response.body, "body");
  }
};

const std::string hi = R"("messages": [{"role": "user", "content": "hi"}])";

TEST_F(UtilitiesTest, TokenizesTexts) {
  start();
  const auto answer = ask("/tokenize", R"({"prompt": "ab", "return_token_strs": true})");
  EXPECT_EQ(answer, parse_json(R"({"count": 3, "max_model_len": 512, "tokens": [1, 97, 98],
      "token_strs": ["\u0001", "a", "b"]})",
                               "expected"));
  EXPECT_EQ(ask("/tokenize", R"({"prompt": "ab", "add_special_tokens": false})").at("count"), 2);
  EXPECT_EQ(ask("/tokenize", R"({"content": "ab"})").at("tokens"), (json::array{97, 98}));
  EXPECT_EQ(ask("/tokenize", R"({"content": "ab", "add_special": true})").at("count"), 3);
}

TEST_F(UtilitiesTest, TokenizesChats) {
  start();
  EXPECT_EQ(ask("/tokenize", "{" + hi + "}").at("tokens"), (json::array{104, 105}));
}

TEST_F(UtilitiesTest, DetokenizesAndAppliesTheTemplate) {
  start();
  EXPECT_EQ(ask("/detokenize", R"({"tokens": [97, 98]})").at("prompt"), "ab");
  EXPECT_EQ(ask("/apply-template", "{" + hi + "}").at("prompt"), "hi");
}

TEST_F(UtilitiesTest, ClientsOfOtherServersFindTheModel) {
  start();
  const auto props = parse_json(get("/props").body, "body");
  EXPECT_EQ(props.at("default_generation_settings").at("n_ctx"), 512);
  EXPECT_EQ(props.at("modalities").at("vision"), true);
  const auto models = parse_json(get("/api/v0/models").body, "body").at("data").as_array();
  ASSERT_EQ(models.size(), 1u);
  EXPECT_EQ(models[0].at("id"), "tiny");
  EXPECT_EQ(models[0].at("type"), "vlm");
  EXPECT_EQ(models[0].at("max_context_length"), 512);
  EXPECT_EQ(parse_json(get("/api/v0/models/tiny").body, "body"), models[0]);
  EXPECT_EQ(get("/api/v0/models/other").status, 404);
}

TEST_F(UtilitiesTest, TakeWhereThePromptEnds) {
  start();
  const std::string both = R"(, "add_generation_prompt": true, "continue_final_message": true})";
  for (const std::string path : {"/tokenize", "/apply-template"}) {
    ask(path, "{" + hi + R"(, "continue_final_message": true})");
    EXPECT_EQ(engine_.last_.prompt_end, PromptEnd::last_message) << path;
    ask(path, "{" + hi + R"(, "add_generation_prompt": false})");
    EXPECT_EQ(engine_.last_.prompt_end, PromptEnd::messages) << path;
    EXPECT_EQ(ask(path, "{" + hi + both, 400).at("error").at("param"), "add_generation_prompt");
  }
}

TEST_F(UtilitiesTest, NamesWhatIsUnknown) {
  start();
  const std::vector<std::pair<std::string, std::string>> bodies{
      {"/tokenize", R"({"prompt": "hi", "foo": 1})"},
      {"/tokenize", "{" + hi + R"(, "foo": 1})"},
      {"/detokenize", R"({"tokens": [1], "foo": 1})"},
      {"/apply-template", "{" + hi + R"(, "foo": 1})"},
      {"/v1/messages/count_tokens", "{" + hi + R"(, "foo": 1})"}};
  for (const auto& [path, body] : bodies)
    EXPECT_EQ(post(path, body).headers.at("x-pippin-ignored"), "foo") << path;
}

TEST_F(UtilitiesTest, RefusesByName) {
  start();
  for (const auto& [path, body, field] : std::vector<std::array<std::string, 3>>{
           {"/tokenize", "{}", "prompt"},
           {"/tokenize", R"({"prompt": 5})", "prompt"},
           {"/tokenize", R"({"prompt": "a", "messages": []})", "messages"},
           {"/tokenize", R"({"prompt": "a", "tools": []})", "tools"},
           {"/tokenize", R"({"prompt": "a", "content": "b"})", "prompt"},
           {"/tokenize", R"({"messages": "x"})", "messages"},
           {"/tokenize", R"({"prompt": "a", "with_pieces": true})", "with_pieces"},
           {"/detokenize", R"({"tokens": ["a"]})", "tokens"},
           {"/detokenize", "{}", "tokens"},
           {"/apply-template", "{}", "messages"}})
    EXPECT_EQ(ask(path, body, 400).at("error").at("param").as_string(), field) << path << body;
}

TEST_F(UtilitiesTest, SaysWhatThereIs) {
  start();
  const json::value told = parse_json(get("/v1/capabilities").body, "body");
  EXPECT_EQ(told.at("max_model_len"), 512);
  EXPECT_EQ(told.at("modalities").at("input"), (json::array{"text", "image", "video"}));
  std::vector<std::string> routes;
  for (const auto& route : told.at("routes").as_array()) routes.emplace_back(route.as_string());
  for (const char* route : {"POST /v1/chat/completions", "POST /tokenize", "GET /v1/capabilities"})
    EXPECT_TRUE(std::find(routes.begin(), routes.end(), route) != routes.end()) << route;
  const json::array& fields = told.at("fields").at("/v1/chat/completions").as_array();
  EXPECT_TRUE(std::find(fields.begin(), fields.end(), "logprobs") != fields.end());
  EXPECT_TRUE(std::find(fields.begin(), fields.end(), "audio") == fields.end());
  EXPECT_TRUE(parse_json(get("/version").body, "body").at("version").is_string());
}

}  // namespace
}  // namespace pippin::server
