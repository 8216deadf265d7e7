#include "server/openai/openai.h"

#include <gtest/gtest.h>

#include <map>

#include "server/api_testing.h"
#include "server/openai/chat_reply.h"

namespace pippin::server {
namespace {

using namespace testing;
using OpenAiTest = ApiTest;

TEST_F(OpenAiTest, AnswersWhole) {
  start();
  const TestResponse response = chat(with(R"(, "max_tokens": 9)"));
  ASSERT_EQ(response.status, 200) << response.body;
  EXPECT_EQ(response.headers.at("content-type"), "application/json");
  const json::value answer = parse_json(response.body, "body");
  EXPECT_EQ(answer.at("object"), "chat.completion");
  EXPECT_EQ(answer.at("model"), "tiny");
  EXPECT_EQ(answer.at("choices").at(0).at("message").at("content"), "Hello world!");
  EXPECT_EQ(answer.at("choices").at(0).at("finish_reason"), "length");
  EXPECT_EQ(answer.at("usage").at("total_tokens"), 11);
  EXPECT_EQ(answer.at("usage").at("prompt_tokens_details").at("cached_tokens"), 3);
  EXPECT_EQ(answer.at("usage").at("prompt_tokens_details").at("media_cached"), 2);
  EXPECT_EQ(engine_.last_.stop.max_tokens, 9);
}

TEST_F(OpenAiTest, StreamsTheSame) {
  start();
  const TestResponse response = chat(with(R"(, "stream": true)"));
  EXPECT_EQ(response.headers.at("content-type"), "text/event-stream; charset=utf-8");
  EXPECT_TRUE(response.body.ends_with("data: [DONE]\n\n"));
  const auto events = events_of(response.body);
  EXPECT_EQ(events.front().at("choices").at(0).at("delta").at("role"), "assistant");
  EXPECT_EQ(events.back().at("choices").at(0).at("finish_reason"), "length");
  std::string text;
  for (const auto& event : events) {
    EXPECT_EQ(event.at("object"), "chat.completion.chunk");
    EXPECT_EQ(event.at("id"), events.front().at("id"));
    EXPECT_FALSE(event.as_object().contains("usage"));
    const json::object& delta = event.at("choices").at(0).at("delta").as_object();
    if (delta.contains("content")) text += delta.at("content").as_string();
  }
  EXPECT_EQ(text, "Hello world!");
}

TEST_F(OpenAiTest, StreamsUsageWhenAsked) {
  start();
  const auto events =
      events_of(chat(with(R"(, "stream": true, "stream_options": {"include_usage": true})")).body);
  EXPECT_TRUE(events.back().at("choices").as_array().empty());
  EXPECT_EQ(events.back().at("usage").at("completion_tokens"), 4);
  EXPECT_EQ(events.back().at("usage").at("prompt_tokens_details").at("media_cached"), 2);
  for (std::size_t i = 0; i + 1 < events.size(); ++i) EXPECT_TRUE(events[i].at("usage").is_null());
}

std::shared_ptr<Script> script_of_calls() {
  auto script = std::make_shared<Script>();
  const auto push = [&](std::string reasoning, std::optional<ToolCallDelta> call) {
    script->push({"", {}, {}, std::move(reasoning), std::move(call)});
  };
  push("Two ", {});
  push("calls.", {});
  push("", ToolCallDelta{0, "call_a", "f", ""});
  push("", ToolCallDelta{0, "", "", R"({"x": )"});
  push("", ToolCallDelta{0, "", "", "1}"});
  push("", ToolCallDelta{1, "call_b", "g", "{}"});
  script->push({"", FinishReason::tool_calls, {}});
  return script;
}

TEST_F(OpenAiTest, AnswersWithCallsAndReasoning) {
  start();
  engine_.next_ = script_of_calls();
  const json::value answer = parse_json(chat(with("")).body, "body");
  const json::value& choice = answer.at("choices").at(0);
  EXPECT_EQ(choice.at("finish_reason"), "tool_calls");
  EXPECT_TRUE(choice.at("message").at("content").is_null());
  EXPECT_EQ(choice.at("message").at("reasoning"), "Two calls.");
  EXPECT_EQ(choice.at("message").at("reasoning_content"), "Two calls.");
  EXPECT_EQ(choice.at("message").at("tool_calls"), parse_json(R"([
      {"id": "call_a", "type": "function", "function": {"name": "f", "arguments": "{\"x\": 1}"}},
      {"id": "call_b", "type": "function", "function": {"name": "g", "arguments": "{}"}}])",
                                                              "expected"));
}

TEST_F(OpenAiTest, StreamsCallsAndReasoning) {
  start();
  engine_.next_ = script_of_calls();
  const auto events = events_of(chat(with(R"(, "stream": true)")).body);
  ASSERT_EQ(events.size(), 8u);
  const auto delta = [&](std::size_t i) { return events[i].at("choices").at(0).at("delta"); };
  EXPECT_EQ(delta(1),
            parse_json(R"({"reasoning": "Two ", "reasoning_content": "Two "})", "expected"));
  EXPECT_EQ(delta(3), parse_json(R"({"tool_calls": [{"index": 0, "id": "call_a", "type": "function",
      "function": {"name": "f", "arguments": ""}}]})",
                                 "expected"));
  EXPECT_EQ(
      delta(5),
      parse_json(R"({"tool_calls": [{"index": 0, "function": {"arguments": "1}"}}]})", "expected"));
  EXPECT_EQ(delta(6).at("tool_calls").at(0).at("index"), 1);
  EXPECT_EQ(events[7].at("choices").at(0).at("finish_reason"), "tool_calls");
}

TEST_F(OpenAiTest, AnswersWithSeveralChoices) {
  start();
  const json::value answer = parse_json(chat(with(R"(, "n": 3)")).body, "body");
  ASSERT_EQ(answer.at("choices").as_array().size(), 3u);
  for (std::size_t i = 0; i < 3; ++i) {
    EXPECT_EQ(answer.at("choices").at(i).at("index"), i);
    EXPECT_EQ(answer.at("choices").at(i).at("message").at("content"), "Hello world!");
  }
  EXPECT_EQ(answer.at("usage").at("prompt_tokens"), 7);
  EXPECT_EQ(answer.at("usage").at("completion_tokens"), 12);
}

TEST_F(OpenAiTest, StreamsSeveralChoices) {
  start();
  std::map<std::int64_t, std::string> texts;
  std::map<std::int64_t, int> ends;
  const auto events = events_of(
      chat(with(R"(, "n": 3, "stream": true, "stream_options": {"include_usage": true})")).body);
  for (const auto& event : events) {
    if (event.at("choices").as_array().empty()) continue;
    const json::value& choice = event.at("choices").at(0);
    const auto index = choice.at("index").as_int64();
    if (const auto* text = choice.at("delta").as_object().if_contains("content"))
      texts[index] += text->as_string();
    ends[index] += !choice.at("finish_reason").is_null();
  }
  const std::string hello = "Hello world!";
  EXPECT_EQ(texts, (std::map<std::int64_t, std::string>{{0, hello}, {1, hello}, {2, hello}}));
  EXPECT_EQ(ends, (std::map<std::int64_t, int>{{0, 1}, {1, 1}, {2, 1}}));
  EXPECT_EQ(events.back().at("usage").at("completion_tokens"), 12);
}

TEST_F(OpenAiTest, KeepsQuietStreamsAlive) {
  keep_alive_ = milliseconds(30);
  start();
  auto script = engine_.next_ = std::make_shared<Script>();
  TestClient client(server_->port());
  client.send(chat_request(with(R"(, "stream": true)")));
  const std::string quiet = client.receive_until(": keep-alive\n\n\r\n");
  EXPECT_NE(quiet.find("assistant"), std::string::npos);
  client.receive_until(": keep-alive\n\n\r\n");
  script->push({"x", FinishReason::stop, {}});
  EXPECT_NE(client.receive_until("0\r\n\r\n").find("[DONE]"), std::string::npos);
}

TEST_F(OpenAiTest, SendsEachPieceAsItArrives) {
  start();
  auto script = engine_.next_ = std::make_shared<Script>();
  TestClient client(server_->port());
  client.send(chat_request(with(R"(, "stream": true)")));
  for (const char* text : {"one", "two", "three"}) {
    script->push({text, {}, {}});
    EXPECT_NE(client.receive_until("\n\n\r\n").find("data: "), std::string::npos);
    if (std::string(text) != "one") continue;
  }
  script->push({"", FinishReason::stop, {}});
  const std::string rest = client.receive_until("0\r\n\r\n");
  EXPECT_NE(rest.find("[DONE]"), std::string::npos);
}

TEST_F(OpenAiTest, CancelsWhenTheClientLeaves) {
  start();
  for (const char* stream : {"true", "false"}) {
    auto script = std::make_shared<Script>();
    engine_.next_ = script;
    TestClient client(server_->port());
    client.send(chat_request(with(std::string(R"(, "stream": )") + stream)));
    if (std::string(stream) == "true") client.receive_until("assistant");
    std::this_thread::sleep_for(milliseconds(50));
    script->push({"x", {}, {}});
    client.close();
    EXPECT_TRUE(script->dropped()) << stream;
  }
}

TEST_F(OpenAiTest, TellsOfAFailureInMidStream) {
  start();
  auto script = engine_.next_ = std::make_shared<Script>();
  script->push({"begun", {}, {}});
  script->fail(Error(Code::unavailable, "a step failed"));
  const auto events = events_of(chat(with(R"(, "stream": true)")).body);
  EXPECT_EQ(events.at(1).at("choices").at(0).at("delta").at("content"), "begun");
  EXPECT_EQ(events.back().at("error").at("message"), "a step failed");

  script = engine_.next_ = std::make_shared<Script>();
  script->push({"begun", {}, {}});
  script->fail(Error(Code::unavailable, "a step failed"));
  EXPECT_EQ(chat(with("")).status, 503);
}

TEST_F(OpenAiTest, PassesOnTheEnginesErrors) {
  start();
  engine_.error_ =
      Error(Code::invalid_argument, "prompt of 600 tokens is longer than the context", "messages");
  TestResponse response = chat(with(R"(, "stream": true)"));
  EXPECT_EQ(response.status, 400);
  EXPECT_EQ(error_of(response).at("param"), "messages");
  engine_.error_ = Error(Code::resource_exhausted, "full");
  response = chat(with(""));
  EXPECT_EQ(response.status, 429);
  EXPECT_EQ(response.headers.at("retry-after"), "1");
}

TEST_F(OpenAiTest, KnowsItsModels) {
  ApiOptions options;
  options.model_names = {"one", "org/two"};
  options.model_aliases = {"uno"};
  start(options);
  EXPECT_EQ(chat(R"({"model": "org/two", "messages": [{"role": "user", "content": "hi"}]})").status,
            200);
  EXPECT_EQ(chat(R"({"model": "uno", "messages": [{"role": "user", "content": "hi"}]})").status,
            200);
  const TestResponse unknown = chat(with(""));
  EXPECT_EQ(unknown.status, 404);
  EXPECT_EQ(error_of(unknown).at("param"), "model");
  EXPECT_EQ(error_of(unknown).at("code"), "model_not_found");
  const json::value list = parse_json(get("/v1/models").body, "body");
  EXPECT_EQ(list.at("data").at(0).at("id"), "one");
  EXPECT_EQ(list.at("data").at(1).at("max_model_len"), 512);
  EXPECT_EQ(parse_json(get("/v1/models/org/two").body, "body").at("id"), "org/two");
  EXPECT_EQ(parse_json(get("/v1/models/org%2Ftwo").body, "body").at("id"), "org/two");
  EXPECT_EQ(get("/v1/models/three").status, 404);
}

TEST_F(OpenAiTest, RefusesCompressedRequests) {
  start();
  const std::string body = with("");
  EXPECT_EQ(send("POST /v1/chat/completions HTTP/1.1\r\nHost: h\r\nContent-Encoding: "
                 "gzip\r\nContent-Length: " +
                 std::to_string(body.size()) + "\r\n\r\n" + body)
                .status,
            415);
}

TEST_F(OpenAiTest, QuotesLittleOfWhatWasSent) {
  start();
  const TestResponse response =
      chat(R"({"messages": [{"role": ")" + std::string(100'000, 'x') + R"(", "content": ""}]})");
  EXPECT_EQ(response.status, 400);
  EXPECT_LT(response.body.size(), 1000u);
}

const std::string agents_request =
    R"({"messages": [{"role": "system", "content": "x-anthropic-billing-header: cc_version=1; cch=0;\nBe."},
                     {"role": "user", "content": "hi"}]})";

TEST_F(OpenAiTest, RemovesVolatileLinesAndCountsThem) {
  start();
  EXPECT_EQ(chat(agents_request).status, 200);
  EXPECT_EQ(engine_.last_.messages.at(0).content.at(0).text, "Be.");
  EXPECT_EQ(parse_json(get("/v1/cache").body, "body").at("volatile_lines_removed"), 1);
}

TEST_F(OpenAiTest, LeavesVolatileLinesWhenToldTo) {
  ApiOptions options;
  options.canonical_prompts = false;
  start(options);
  EXPECT_EQ(chat(agents_request).status, 200);
  EXPECT_TRUE(engine_.last_.messages.at(0).content.at(0).text.starts_with("x-anthropic"));
  EXPECT_EQ(parse_json(get("/v1/cache").body, "body").at("volatile_lines_removed"), 0);
}

TEST_F(OpenAiTest, ListsUnknownFieldsInAHeader) {
  start();
  const TestResponse response = chat(with(R"(, "tempature": 1, "a\r\nSet-Cookie: b": 2)"));
  EXPECT_EQ(response.status, 200);
  EXPECT_EQ(response.headers.at("x-pippin-ignored"), "tempature, a%0D%0ASet-Cookie%3A%20b");
  EXPECT_FALSE(chat(with("")).headers.contains("x-pippin-ignored"));
  EXPECT_EQ(chat(with(R"(, "stream": true, "x": 1)")).headers.at("x-pippin-ignored"), "x");
}

TEST_F(OpenAiTest, RefusesUnknownFieldsWhenStrict) {
  ApiOptions options;
  options.strict_fields = true;
  start(options);
  const TestResponse response = chat(with(R"(, "tempature": 1)"));
  EXPECT_EQ(response.status, 400);
  EXPECT_EQ(error_of(response).at("param"), "tempature");
  EXPECT_EQ(chat(with(R"(, "user": "me")")).status, 200);
}

}  // namespace
}  // namespace pippin::server
