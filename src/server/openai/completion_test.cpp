// POST /v1/completions over a fake engine.
#include <gtest/gtest.h>

#include "server/api_testing.h"
#include "server/openai/completion_call.h"

namespace pippin::server {
namespace {

using namespace testing;

CompletionCall parse_with(const std::string& members) {
  return parse_completion("{" + members + "}");
}

std::string refused_with(const std::string& members) {
  try {
    parse_with(members);
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Code::invalid_argument);
    return error.field();
  }
  return "";
}

TEST(CompletionCall, TakesPromptsInEachForm) {
  EXPECT_EQ(parse_with(R"("prompt": "a")").requests.at(0).text, "a");
  const auto texts = parse_with(R"("prompt": ["a", "b"])").requests;
  ASSERT_EQ(texts.size(), 2u);
  EXPECT_EQ(texts[1].text, "b");
  EXPECT_EQ(parse_with(R"("prompt": [5, 6])").requests.at(0).tokens,
            (std::vector<std::int32_t>{5, 6}));
  const auto lists = parse_with(R"("prompt": [[5], [6, 7]])").requests;
  ASSERT_EQ(lists.size(), 2u);
  EXPECT_EQ(lists[1].tokens, (std::vector<std::int32_t>{6, 7}));
}

TEST(CompletionCall, RefusesOtherPrompts) {
  for (const char* prompt : {"5", "{}", "[]", "\"\"", "[5, \"a\"]", "[-1]", "[[]]", "[true]",
                             "[[5.5]]", "[4294967296]", "[[[5]]]", "null"})
    EXPECT_EQ(refused_with(R"("prompt": )" + std::string(prompt)), "prompt") << prompt;
  EXPECT_EQ(refused_with(""), "prompt");
}

TEST(CompletionCall, TakesItsFields) {
  const CompletionCall call =
      parse_with(R"("prompt": ["a", "b"], "n": 2, "best_of": 2, "seed": 7, "stop": "x",
      "logprobs": 2, "return_token_ids": true, "priority": -1, "whatever": 1)");
  EXPECT_EQ(call.num_choices, 2);
  EXPECT_EQ(call.requests[1].sampling.seed, 7u);
  EXPECT_EQ(call.requests[1].sampling.top_logprobs, 2);
  EXPECT_EQ(call.requests[1].stop.strings, std::vector<std::string>{"x"});
  EXPECT_EQ(call.requests[1].stop.max_tokens, 16);
  EXPECT_EQ(call.requests[1].priority, -1);
  EXPECT_TRUE(call.requests[1].list_tokens);
  EXPECT_EQ(call.ignored, std::vector<std::string>{"whatever"});
}

TEST(CompletionCall, RefusesByName) {
  for (const auto& [field, members] : std::vector<std::pair<std::string, std::string>>{
           {"best_of", R"("best_of": 3)"},
           {"prompt_logprobs", R"("prompt_logprobs": 3, "stream": true)"},
           {"prompt_logprobs", R"("prompt_logprobs": 21)"},
           {"logprobs", R"("logprobs": true)"},
           {"logprobs", R"("logprobs": 21)"},
           {"n", R"("n": 0)"},
           {"suffix", R"("suffix": 5)"},
           {"echo", R"("echo": 1)"},
           {"guided_choice", R"("guided_choice": [])"},
           {"guided_choice", R"("guided_regex": "a", "guided_choice": ["a"])"},
           {"max_tokens", R"("max_tokens": 0)"}})
    EXPECT_EQ(refused_with(R"("prompt": "a", )" + members), field) << members;
  EXPECT_EQ(refused_with(R"("prompt": [1], "suffix": "x")"), "suffix");
}

class CompletionTest : public ApiTest {
 protected:
  TestResponse complete(const std::string& body) {
    return send("POST /v1/completions HTTP/1.1\r\nHost: h\r\nContent-Length: " +
                std::to_string(body.size()) + "\r\n\r\n" + body);
  }
};

TEST_F(CompletionTest, AnswersWhole) {
  start();
  const auto response = complete(R"({"prompt": ["One", "Two"], "n": 2, "echo": true})");
  ASSERT_EQ(response.status, 200) << response.body;
  const json::value answer = parse_json(response.body, "body");
  EXPECT_EQ(answer.at("object"), "text_completion");
  const json::array& choices = answer.at("choices").as_array();
  ASSERT_EQ(choices.size(), 4u);
  const char* const wanted[] = {"OneHello world!", "OneHello world!", "TwoHello world!",
                                "TwoHello world!"};
  for (std::size_t i = 0; i < 4; ++i) {
    EXPECT_EQ(choices[i].at("index"), i);
    EXPECT_EQ(choices[i].at("text"), wanted[i]);
    EXPECT_EQ(choices[i].at("finish_reason"), "length");
    EXPECT_TRUE(choices[i].at("logprobs").is_null());
  }
  EXPECT_EQ(answer.at("usage").at("prompt_tokens"), 14);  // each prompt once
  EXPECT_EQ(answer.at("usage").at("completion_tokens"), 16);
}

TEST_F(CompletionTest, StreamsTheSame) {
  start();
  const auto events = events_of(
      complete(
          R"({"prompt": "One", "n": 2, "echo": true, "stream": true, "stream_options": {"include_usage": true}})")
          .body);
  std::string texts[2], ends[2];
  for (std::size_t i = 0; i + 1 < events.size(); ++i) {
    EXPECT_EQ(events[i].at("object"), "text_completion");
    EXPECT_TRUE(events[i].at("usage").is_null());
    const json::value& choice = events[i].at("choices").at(0);
    const auto index = static_cast<std::size_t>(choice.at("index").as_int64());
    texts[index] += choice.at("text").as_string();
    if (!choice.at("finish_reason").is_null())
      ends[index] += choice.at("finish_reason").as_string();
  }
  for (std::size_t i = 0; i < 2; ++i) {
    EXPECT_EQ(texts[i], "OneHello world!");
    EXPECT_EQ(ends[i], "length");
  }
  EXPECT_EQ(events.back().at("usage").at("completion_tokens"), 8);
}

TEST_F(CompletionTest, TellsLogProbabilitiesAndIds) {
  start();
  auto script = engine_.next_ = std::make_shared<Script>();
  AnswerToken token;
  token.token = 9;
  token.bytes = "ö";
  token.logprob = -0.5f;
  token.top = {{9, -0.5f, "ö"}};
  ChatEvent event{"ö", FinishReason::stop, {}};
  event.tokens = {token};
  event.prompt_tokens = {1, 2};
  script->push(event);
  const json::value answer = parse_json(
      complete(R"({"prompt": "x", "logprobs": 1, "return_token_ids": true})").body, "body");
  EXPECT_EQ(answer.at("choices").at(0).at("logprobs"),
            parse_json(R"({"tokens": ["ö"], "token_logprobs": [-0.5],
      "top_logprobs": [{"ö": -0.5}], "text_offset": [0]})",
                       "expected"));
  EXPECT_EQ(answer.at("choices").at(0).at("token_ids"), json::array{9});
  EXPECT_EQ(answer.at("choices").at(0).at("prompt_token_ids"), (json::array{1, 2}));
}

TEST_F(CompletionTest, TellsErrorsAsTheOthersDo) {
  start();
  EXPECT_EQ(error_of(complete(R"({"model": "other", "prompt": "x"})")).at("code"),
            "model_not_found");
  EXPECT_EQ(error_of(complete("{}")).at("param"), "prompt");
}

}  // namespace
}  // namespace pippin::server
