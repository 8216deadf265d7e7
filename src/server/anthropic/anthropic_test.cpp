// Anthropic's Messages API over a fake engine.
#include <gtest/gtest.h>

#include <algorithm>
#include <utility>

#include "server/api_testing.h"

namespace pippin::server {
namespace {

using namespace testing;

using Named = std::pair<std::string, json::value>;  // an event's name and data

std::vector<Named> named_events(const std::string& body) {
  std::vector<Named> events;
  std::string_view rest = body;
  while (!rest.empty()) {
    const std::size_t end = rest.find("\n\n");
    const std::string_view event = rest.substr(0, end);
    rest.remove_prefix(end == std::string_view::npos ? rest.size() : end + 2);
    const std::size_t line = event.find('\n');
    EXPECT_TRUE(event.starts_with("event: ") && event.substr(line).starts_with("\ndata: "))
        << event;
    events.emplace_back(event.substr(7, line - 7), parse_json(event.substr(line + 7), "data"));
    EXPECT_EQ(events.back().second.at("type"), json::string_view(events.back().first));
  }
  return events;
}

std::vector<std::string> names_of(const std::vector<Named>& events) {
  std::vector<std::string> names;
  for (const auto& [name, data] : events) {
    const json::value* delta = data.as_object().if_contains("delta");
    const json::value* type = delta ? delta->as_object().if_contains("type") : nullptr;
    names.push_back(type ? std::string(type->as_string()) : name);
  }
  return names;
}

class AnthropicTest : public ApiTest {
 protected:
  static std::string asking(const std::string& members) {
    return R"({"model": "tiny", "max_tokens": 9, "messages": [{"role": "user", "content": "hi"}])" +
           members + "}";
  }
  TestResponse post(const std::string& body, const std::string& path = "/v1/messages") {
    return send("POST " + path +
                " HTTP/1.1\r\nHost: h\r\nx-api-key: k\r\nanthropic-version: 2023-06-01\r\n"
                "anthropic-beta: a-2025-01-01,b\r\nX-Request-Id: req_7\r\nContent-Length: " +
                std::to_string(body.size()) + "\r\n\r\n" + body);
  }
  json::value answer(const std::string& members) {
    const TestResponse response = post(asking(members));
    EXPECT_EQ(response.status, 200) << response.body;
    return parse_json(response.body, "body");
  }
  // The field that the error which answers `body` names; "" where it is taken.
  std::string refused(const std::string& body) {
    const TestResponse response = post(body);
    if (response.status == 200) return "";
    const json::value error = parse_json(response.body, "body");
    EXPECT_EQ(response.status, 400);
    EXPECT_EQ(error.at("type"), "error");
    EXPECT_EQ(error.at("error").at("type"), "invalid_request_error");
    EXPECT_EQ(error.at("request_id"), "req_7");
    const std::string message(error.at("error").at("message").as_string());
    const std::size_t begin = message.find('\'');
    return begin == 0 ? message.substr(1, message.find('\'', 1) - 1)
                      : message.substr(0, message.find(": "));
  }
  std::string refused_with(const std::string& members) { return refused(asking(members)); }
  std::string refused_message(const std::string& message) {
    return refused(R"({"model": "tiny", "max_tokens": 9, "messages": [)" + message + "]}");
  }
};

std::shared_ptr<Script> thinking_and_calls(FinishReason finish = FinishReason::tool_calls) {
  auto script = std::make_shared<Script>();
  const Usage usage{30, 5, 20, 0, 3};
  script->push({"", {}, usage, "Two ", {}});
  script->push({"", {}, usage, "calls.", {}});
  script->push({"Look:", {}, usage, "", {}});
  script->push({"", {}, usage, "", ToolCallDelta{0, "call_a", "f", ""}});
  script->push({"", {}, usage, "", ToolCallDelta{0, "", "", R"({"x": )"}});
  script->push({"", {}, usage, "", ToolCallDelta{0, "", "", "1}"}});
  script->push({"", {}, usage, "", ToolCallDelta{1, "call_b", "g", R"({"y)"}});
  script->push({"", finish, usage});
  return script;
}

TEST_F(AnthropicTest, AnswersWhole) {
  start();
  const TestResponse response = post(asking(""));
  EXPECT_EQ(response.headers.at("request-id"), "req_7");
  json::value message = parse_json(response.body, "body");
  EXPECT_TRUE(message.at("id").as_string().starts_with("msg_"));
  message.as_object().erase("id");
  EXPECT_EQ(message, parse_json(R"({"type": "message", "role": "assistant", "model": "tiny",
      "content": [{"type": "text", "text": "Hello world!"}], "stop_reason": "max_tokens", "stop_sequence": null,
      "usage": {"input_tokens": 4, "cache_creation_input_tokens": 0, "cache_read_input_tokens": 3, "output_tokens": 4,
                "output_tokens_details": {"thinking_tokens": 0}, "service_tier": "standard"}})",
                                "expected"));
  EXPECT_EQ(engine_.last_.stop.max_tokens, 9);
}

TEST_F(AnthropicTest, StreamsEventsInTheirOrder) {
  start();
  engine_.next_ = thinking_and_calls();
  const auto events = named_events(post(asking(R"(, "stream": true)")).body);
  EXPECT_EQ(names_of(events),
            (std::vector<std::string>{
                "message_start", "content_block_start", "ping", "thinking_delta", "thinking_delta",
                "signature_delta", "content_block_stop", "content_block_start", "text_delta",
                "content_block_stop", "content_block_start", "input_json_delta", "input_json_delta",
                "content_block_stop", "content_block_start", "input_json_delta",
                "content_block_stop", "message_delta", "message_stop"}));
  EXPECT_EQ(events[0].second.at("message").at("usage").at("cache_read_input_tokens"), 20);
  EXPECT_EQ(events[0].second.at("message").at("usage").at("input_tokens"), 10);
  EXPECT_EQ(events[1].second, parse_json(R"({"type": "content_block_start", "index": 0,
      "content_block": {"type": "thinking", "thinking": "", "signature": ""}})",
                                         "expected"));
  EXPECT_EQ(events[10].second, parse_json(R"({"type": "content_block_start", "index": 2,
      "content_block": {"type": "tool_use", "id": "call_a", "name": "f", "input": {}}})",
                                          "expected"));
  EXPECT_EQ(events[11].second.at("delta").at("partial_json"), R"({"x": )");
  EXPECT_EQ(events[17].second.at("delta"),
            parse_json(R"({"stop_reason": "tool_use", "stop_sequence": null})", "expected"));
  EXPECT_EQ(events[17].second.at("usage").at("output_tokens"), 5);
}

TEST_F(AnthropicTest, WholeIsTheFoldOfTheStream) {
  start();
  engine_.next_ = thinking_and_calls();
  const json::value message = answer("");
  const json::array& content = message.at("content").as_array();
  ASSERT_EQ(content.size(), 4u);
  EXPECT_EQ(content[0].at("thinking"), "Two calls.");
  EXPECT_FALSE(content[0].at("signature").as_string().empty());
  EXPECT_EQ(content[1].at("text"), "Look:");
  EXPECT_EQ(content[2].at("input"), parse_json(R"({"x": 1})", "expected"));
  EXPECT_EQ(content[3].at("input"), json::object());  // was cut off
  EXPECT_EQ(message.at("stop_reason"), "tool_use");
  EXPECT_EQ(message.at("usage").at("output_tokens_details").at("thinking_tokens"), 3);
}

TEST_F(AnthropicTest, OmitsThinkingWhereAskedTo) {
  start();
  const std::string thinking = R"(, "thinking": {"type": "adaptive", "display": "omitted"})";
  engine_.next_ = thinking_and_calls();
  EXPECT_EQ(answer(thinking).at("content").at(0).at("thinking"), "");
  engine_.next_ = thinking_and_calls();
  const auto names = names_of(named_events(post(asking(thinking + R"(, "stream": true)")).body));
  EXPECT_EQ(std::count(names.begin(), names.end(), "thinking_delta"), 0);
  EXPECT_EQ(names.at(3), "signature_delta");
}

TEST_F(AnthropicTest, TellsWhichSequenceStoppedIt) {
  start();
  auto script = engine_.next_ = std::make_shared<Script>();
  ChatEvent last{"x", FinishReason::stop, {}};
  last.stop_string = 1;
  script->push(last);
  const json::value message = answer(R"(, "stop_sequences": ["A", "B"])");
  EXPECT_EQ(message.at("stop_reason"), "stop_sequence");
  EXPECT_EQ(message.at("stop_sequence"), "B");
  EXPECT_EQ(engine_.last_.stop.strings, (std::vector<std::string>{"A", "B"}));
}

TEST_F(AnthropicTest, TellsOfErrorsInItsShape) {
  start();
  auto script = engine_.next_ = std::make_shared<Script>();
  script->push({"begun", {}, {}});
  script->fail(Error(Code::unavailable, "a step failed"));
  const auto events = named_events(post(asking(R"(, "stream": true)")).body);
  EXPECT_EQ(events.back().first, "error");
  EXPECT_EQ(events.back().second.at("error").at("type"), "overloaded_error");
  EXPECT_EQ(events.back().second.at("error").at("message"), "a step failed");

  engine_.error_ = Error(Code::resource_exhausted, "full");
  const TestResponse full = post(asking(""));
  EXPECT_EQ(full.status, 429);
  EXPECT_EQ(full.headers.at("request-id"), "req_7");
  EXPECT_EQ(parse_json(full.body, "body").at("error").at("type"), "rate_limit_error");
  const TestResponse unknown = post(R"({"model": "no", "max_tokens": 1, "messages": [
      {"role": "user", "content": "hi"}]})");
  EXPECT_EQ(unknown.status, 404);
  EXPECT_EQ(parse_json(unknown.body, "body").at("error").at("type"), "not_found_error");
  const TestResponse method = get("/v1/messages");
  EXPECT_EQ(method.status, 405);
  EXPECT_EQ(parse_json(method.body, "body").at("type"), "error");
  const TestResponse large =
      send("POST /v1/messages HTTP/1.1\r\nHost: h\r\nContent-Length: 999999999\r\n\r\n");
  EXPECT_EQ(large.status, 413);
  EXPECT_EQ(parse_json(large.body, "body").at("error").at("type"), "request_too_large");
}

TEST_F(AnthropicTest, ReadsAPromptAheadForNoTokens) {
  start();
  const json::value message = answer(R"(, "max_tokens": 0)");
  EXPECT_EQ(message.at("content"), json::array());
  EXPECT_EQ(message.at("stop_reason"), "max_tokens");
  EXPECT_EQ(message.at("usage").at("output_tokens"), 0);
  EXPECT_EQ(message.at("usage").at("cache_read_input_tokens"), 3);
  EXPECT_EQ(engine_.last_.stop.max_tokens, 1);
}

TEST_F(AnthropicTest, ShowsSystemMessagesUntilTheUserSaysMore) {
  start();
  const auto texts = [&](const std::string& tail) {
    EXPECT_EQ(
        refused_message(
            R"({"role": "user", "content": "a"}, {"role": "system", "content": "b", "clear_at": "next_user_message"})" +
            tail),
        "");
    std::vector<std::string> all;
    for (const Message& message : engine_.last_.messages) all.push_back(message.content.at(0).text);
    return all;
  };
  EXPECT_EQ(texts(""), (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(texts(R"(, {"role": "assistant", "content": "c"}, {"role": "user", "content": "d"})"),
            (std::vector<std::string>{"a", "c", "d"}));
  EXPECT_EQ(refused_message(R"({"role": "user", "content": "a", "clear_at": "next_user_message"})"),
            "messages.0.clear_at");
  EXPECT_EQ(refused_message(R"({"role": "user", "content": "a"}, {"role": "system", "content": "b",
      "output_config": {"effort": "low"}})"),
            "messages.1.output_config");
}

TEST_F(AnthropicTest, ShowsWhatWasFound) {
  start();
  const std::string found =
      R"({"type": "search_result", "title": "T", "source": "https://x", "content": [{"type": "text", "text": "One."}]})";
  EXPECT_EQ(
      refused_message(
          R"({"role": "user", "content": [)" + found +
          R"(, {"type": "tool_result", "tool_use_id": "t", "toolset_name": "s", "content": [)" +
          found + R"(, {"type": "tool_reference", "tool_name": "f"}]}]})"),
      "");
  const auto& messages = engine_.last_.messages;
  ASSERT_EQ(messages.size(), 2u);
  for (const Message& message : messages) {
    std::string text;
    for (const auto& part : message.content) text += part.text;
    EXPECT_TRUE(text.starts_with("<document title=\"T\">\nhttps://x\nOne.\n</document>")) << text;
    EXPECT_EQ(text.ends_with("f\n"), message.role == "tool");
  }
  EXPECT_EQ(refused_message(R"({"role": "user", "content": [{"type": "search_result", "title": "T",
      "source": "x", "content": [], "citations": {"enabled": true}}]})"),
            "messages.0.content.0.citations.enabled");
}

// So that a conversation which loads tools goes on as it began, and is cached.
TEST_F(AnthropicTest, ShowsToolsThatAreLoadedLaterWhereMessagesReferToThem) {
  start();
  const std::string tools =
      R"({"model": "tiny", "max_tokens": 9, "tools": [{"name": "a", "input_schema": {"type": "object"}, "defer_loading": true},
          {"name": "b", "input_schema": {}}, {"name": "c", "input_schema": {}, "defer_loading": true}], "messages": [
          {"role": "user", "content": "hi"})";
  const std::string a =
      R"({"type":"function","function":{"name":"a","parameters":{"type":"object","properties":{}}}})";
  const std::string found =
      R"(, {"role": "assistant", "content": [{"type": "tool_use", "id": "t", "name": "b", "input": {}}]},
      {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t", "content": [{"type": "tool_reference", "tool_name": "a"}]}]})";
  for (const std::string& tail : {std::string(), found}) {
    EXPECT_EQ(refused(tools + tail + "]}"), "");
    EXPECT_EQ(
        engine_.last_.template_tools_json,
        R"([{"type":"function","function":{"name":"b","parameters":{"type":"object","properties":{}}}}])");
    EXPECT_TRUE(engine_.last_.tools_json.starts_with("[" + a));
  }
  EXPECT_EQ(engine_.last_.messages.at(2).content.at(0).text, "<tools>\n" + a + "\n</tools>\n");

  const auto change = [&](const std::string& type, const std::string& tool) {
    return refused(tools + R"(, {"role": "system", "content": [{"type": ")" + type +
                   R"(", "tool": )" + tool + "}]}]}");
  };
  EXPECT_EQ(change("tool_addition", R"({"type": "tool_reference", "name": "a"})"), "");
  EXPECT_EQ(engine_.last_.messages.at(1).content.at(0).text,
            "The tool a can be called now.\n<tools>\n" + a + "\n</tools>\n");
  EXPECT_EQ(change("tool_removal", R"({"type": "tool_reference", "name": "b"})"), "");
  EXPECT_EQ(engine_.last_.messages.at(1).content.at(0).text,
            "The tool b can't be called any more.\n");
  EXPECT_EQ(change("tool_addition", R"({"type": "mcp_tool_reference", "name": "a"})"),
            "messages.1.content.0.tool.type");
  EXPECT_EQ(
      answer(
          R"(, "tools": [{"name": "a", "input_schema": {}, "defer_loading": true}], "tool_choice": {"type": "none"})")
          .at("type"),
      "message");
  EXPECT_EQ(engine_.last_.template_tools_json, std::nullopt);
}

TEST_F(AnthropicTest, CountsTokens) {
  start();
  const TestResponse response = post(
      R"({"model": "tiny", "messages": [{"role": "user", "content": "hi"}], "tools": [{"name": "f", "input_schema": {}}]})",
      "/v1/messages/count_tokens");
  EXPECT_EQ(response.status, 200);
  EXPECT_EQ(response.body, R"({"input_tokens":7})");
  EXPECT_FALSE(engine_.last_.tools_json.empty());
}

TEST_F(AnthropicTest, ReadsMessages) {
  start();
  const TestResponse response = post(R"({"model": "tiny", "max_tokens": 1, "system": [
      {"type": "text", "text": "x-anthropic-billing-header: cc_version=1; cch=0;"},
      {"type": "text", "text": "Be brief.", "cache_control": {"type": "ephemeral", "ttl": "1h"}}],
      "messages": [{"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]},
        {"role": "assistant", "content": [{"type": "thinking", "thinking": "Hm.", "signature": "s"},
          {"type": "redacted_thinking", "data": "z"}, {"type": "text", "text": "Look:"},
          {"type": "tool_use", "id": "t1", "name": "f", "input": {"x": [1]}}, {"type": "tool_use", "id": "t2", "name": "g", "input": {}}]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t1", "content": "one"},
          {"type": "tool_result", "tool_use_id": "t2", "is_error": true, "content": [{"type": "text", "text": "no"}]},
          {"type": "text", "text": "go on", "cache_control": {"type": "ephemeral"}}]}]})");
  ASSERT_EQ(response.status, 200) << response.body;
  EXPECT_FALSE(response.headers.contains("x-pippin-ignored"));
  const auto& messages = engine_.last_.messages;
  ASSERT_EQ(messages.size(), 6u);
  EXPECT_EQ(messages[0].role, "system");
  ASSERT_EQ(messages[0].content.size(), 1u);  // without the line that changes
  EXPECT_EQ(messages[0].content[0].text, "Be brief.");
  EXPECT_EQ(messages[1].content.size(), 2u);
  EXPECT_EQ(messages[2].content[0].text, "Look:");
  EXPECT_EQ(parse_json(messages[2].extra_json, "extra"), parse_json(R"({"reasoning_content": "Hm.",
      "tool_calls": [{"id": "t1", "type": "function", "function": {"name": "f", "arguments": "{\"x\":[1]}"}},
                     {"id": "t2", "type": "function", "function": {"name": "g", "arguments": "{}"}}]})",
                                                                    "expected"));
  EXPECT_EQ(messages[3].role, "tool");
  EXPECT_EQ(messages[3].content[0].text, "one");
  EXPECT_EQ(messages[3].extra_json, R"({"tool_call_id":"t1"})");
  EXPECT_EQ(messages[4].content[0].text, "Error: ");
  EXPECT_EQ(messages[4].content[1].text, "no");
  EXPECT_EQ(messages[5].role, "user");
  EXPECT_EQ(messages[5].content[0].text, "go on");
}

// A 2 x 1 picture: red, blue.
const std::string bmp =
    R"({"type": "image", "source": {"type": "base64", "media_type": "image/bmp", "data": "Qk0+AAAAAAAAADYAAAAoAAAAAgAAAAEAAAABABgAAAAAAAgAAAAAAAAAAAAAAAAAAAAAAAAAAAD//wAAAAA="}})";

TEST_F(AnthropicTest, ReadsPicturesAlsoOfTools) {
  start();
  const TestResponse response = post(
      R"({"model": "tiny", "max_tokens": 1, "messages": [{"role": "user", "content": [{"type": "text", "text": "what?"}, )" +
      bmp +
      R"(]}, {"role": "assistant", "content": [{"type": "tool_use", "id": "t", "name": "f", "input": {}}]},
      {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t", "content": [)" +
      bmp + "]}]}]}");
  ASSERT_EQ(response.status, 200) << response.body;
  const Pixels pixels{1, 2, {255, 0, 0, 0, 0, 255}};
  EXPECT_EQ(*engine_.last_.messages.at(0).content.at(1).image, pixels);
  EXPECT_EQ(*engine_.last_.messages.at(2).content.at(0).image, pixels);
}

TEST_F(AnthropicTest, GivesToolsInOpenAisShape) {
  start();
  answer(R"(, "tools": [{"name": "f", "description": "d", "input_schema": {"type": "object"},
      "cache_control": {"type": "ephemeral"}}], "tool_choice": {"type": "auto", "disable_parallel_tool_use": true})");
  EXPECT_EQ(
      engine_.last_.tools_json,
      R"([{"type":"function","function":{"name":"f","description":"d","parameters":{"type":"object","properties":{}}}}])");
  EXPECT_FALSE(engine_.last_.parallel_tool_calls);
  answer(R"(, "tools": [{"name": "f", "input_schema": {}}], "tool_choice": {"type": "none"})");
  EXPECT_EQ(engine_.last_.tools_json, "");
}

TEST_F(AnthropicTest, SwitchesThinking) {
  start();
  const auto kwargs = [&](const std::string& members) {
    answer(members);
    return parse_json(engine_.last_.template_kwargs_json, "kwargs");
  };
  EXPECT_EQ(kwargs("").at("enable_thinking"), false);
  EXPECT_EQ(kwargs(R"(, "thinking": {"type": "disabled"})").at("enable_thinking"), false);
  EXPECT_EQ(kwargs(R"(, "thinking": {"type": "adaptive"})").at("thinking"), true);
  EXPECT_EQ(
      kwargs(R"(, "thinking": {"type": "enabled", "budget_tokens": 1024})").at("enable_thinking"),
      true);
  EXPECT_EQ(kwargs(R"(, "output_config": {"effort": "xhigh"})").at("reasoning_effort"), "high");
}

TEST_F(AnthropicTest, AsksForWhatAnAnswerMustBe) {
  start();
  const std::string tools =
      R"(, "tools": [{"name": "f", "input_schema": {}, "strict": true}, {"name": "g", "input_schema": {}}])";
  answer(tools + R"(, "tool_choice": {"type": "any"})");
  EXPECT_TRUE(engine_.last_.tool_choice.required);
  EXPECT_TRUE(engine_.last_.tool_choice.strict);
  EXPECT_TRUE(engine_.last_.tool_choice.allowed.empty());
  answer(tools + R"(, "tool_choice": {"type": "tool", "name": "g"})");
  EXPECT_EQ(engine_.last_.tool_choice.allowed, std::vector<std::string>{"g"});
  EXPECT_EQ(refused_with(tools + R"(, "tool_choice": {"type": "tool", "name": "h"})"),
            "tool_choice");
  EXPECT_EQ(refused_with(R"(, "tool_choice": {"type": "any"})"), "tool_choice");

  const std::string format = R"({"type": "json_schema", "schema": {"type": "object"}})";
  for (const std::string& member :
       {R"("output_config": {"format": )" + format + "}", R"("output_format": )" + format}) {
    answer(", " + member);
    EXPECT_EQ(engine_.last_.format.kind, ResponseFormat::Kind::json_schema);
    EXPECT_EQ(engine_.last_.format.text, R"({"type":"object"})");
  }
  EXPECT_EQ(refused_with(R"(, "output_config": {"format": {"type": "json_schema"}})"),
            "output_config.format.schema");
  answer(R"(, "thinking": {"type": "enabled", "budget_tokens": 1024})");
  EXPECT_EQ(engine_.last_.thinking_budget, 1024);
}

TEST_F(AnthropicTest, TakesWhatAgentsSend) {
  start();
  const TestResponse response = post(asking(
      R"(, "metadata": {"user_id": "u"}, "service_tier": "auto", "temperature": 1, "top_k": 5, "top_p": 0.9,
      "context_management": {"edits": [{"type": "clear_thinking_20251015", "keep": "all"}]}, "speed": "standard",
      "cache_control": {"type": "ephemeral"}, "mcp_servers": [], "fallbacks": "default", "billing_policy":
      {"type": "billing_policy"}, "thinking": {"type": "adaptive", "block_binding": {}}, "no_such_field": 1)"));
  EXPECT_EQ(response.status, 200) << response.body;
  EXPECT_EQ(response.headers.at("x-pippin-ignored"), "no_such_field");
  EXPECT_EQ(engine_.last_.sampling.top_k, 5);
}

// Whatever a client has made of a call that was cut off; numbers keep their digits.
TEST_F(AnthropicTest, TakesAnyInputOfEarlierCalls) {
  start();
  const std::pair<std::string, std::string> cases[] = {
      {R"({"x": 1e400, "y": [123456789012345678901234567890]})",
       R"({"x":1e400,"y":[123456789012345678901234567890]})"},
      {"[]", "[]"},
      {"5", "5"},
      {R"("{\"x\": 1")", R"({"x": 1)"},
      {"null", ""}};
  for (const auto& [input, arguments] : cases) {
    const TestResponse response = post(
        R"({"model": "tiny", "max_tokens": 1, "messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": [
          {"type": "tool_use", "id": "t", "name": "f", "input": )" +
        input + R"(}]}, {"role": "user", "content": "b"}]})");
    ASSERT_EQ(response.status, 200) << response.body;
    const json::value extra = parse_json(engine_.last_.messages.at(1).extra_json, "extra");
    EXPECT_EQ(extra.at("tool_calls").at(0).at("function").at("arguments"),
              json::string_view(arguments));
  }
}

TEST_F(AnthropicTest, ListsUnknownNamesAtEveryDepth) {
  start();
  const std::pair<std::string, std::string> cases[] = {
      {R"(, "output_config": {"format": {"type": "json_schema", "schema": {"a": 1}, "scheme": {}}})",
       "output_config.format.scheme"},
      {R"(, "output_config": {"x": 1})", "output_config.x"},
      {R"(, "thinking": {"type": "disabled", "x": 1})", "thinking.x"},
      {R"(, "tools": [{"name": "f", "input_schema": {"x": 1}, "paramters": {}}], "tool_choice": {"type": "auto", "x": 1})",
       "tools.0.paramters, tool_choice.x"},
      {R"(, "context_management": {"edits": [], "x": 1})", "context_management.x"}};
  for (const auto& [members, names] : cases)
    EXPECT_EQ(post(asking(members)).headers["x-pippin-ignored"], names) << members;
  const TestResponse picture = post(
      R"({"model": "tiny", "max_tokens": 1, "messages": [{"role": "user", "content": [{"type": "image", "source":
        {"type": "base64", "media_type": "image/bmp", "x": 1,
         "data": "Qk0+AAAAAAAAADYAAAAoAAAAAgAAAAEAAAABABgAAAAAAAgAAAAAAAAAAAAAAAAAAAAAAAAAAAD//wAAAAA="}}]}]})");
  ASSERT_EQ(picture.status, 200) << picture.body;
  EXPECT_EQ(picture.headers.at("x-pippin-ignored"), "messages.0.content.0.source.x");
}

TEST_F(AnthropicTest, NamesWhatIsWrong) {
  start();
  EXPECT_EQ(refused("{"), "body");
  EXPECT_EQ(refused(R"({"max_tokens": 1})"), "messages");
  EXPECT_EQ(refused(R"({"messages": [{"role": "user", "content": "x"}]})"), "max_tokens");
  const std::vector<std::pair<std::string, std::string>> cases{
      {"max_tokens", R"("max_tokens": -1)"},
      {"max_tokens", R"("max_tokens": 0, "stream": true)"},
      {"temperature", R"("temperature": 2.5)"},
      {"top_k", R"("top_k": -1)"},
      {"stop_sequences", R"("stop_sequences": [""])"},
      {"thinking.type", R"("thinking": {"type": "on"})"},
      {"thinking.budget_tokens", R"("thinking": {"type": "enabled"})"},
      {"thinking.display", R"("thinking": {"type": "adaptive", "display": "x"})"},
      {"output_config.effort", R"("output_config": {"effort": "huge"})"},
      {"output_config.task_budget",
       R"("output_config": {"task_budget": {"type": "tokens", "total": 9}})"},
      {"context_management.edits.0.type",
       R"("context_management": {"edits": [{"type": "clear_tool_uses_20250919"}]})"},
      {"mcp_servers", R"("mcp_servers": [{}])"},
      {"container", R"("container": "c")"},
      {"thread", R"("thread": {"type": "create"})"},
      {"compaction", R"("compaction": {"type": "summarize"})"},
      {"metadata", R"("metadata": 1)"},
      {"system.0.type", R"("system": [{"type": "image"}])"},
      {"tools.0.type", R"("tools": [{"type": "web_search_20250305", "name": "web_search"}])"},
      {"tools.0.input_schema", R"("tools": [{"name": "f"}])"},
      {"tools.0.name", R"("tools": [{"name": "", "input_schema": {}}])"},
      {"tool_choice.type", R"("tool_choice": {"type": "some"})"}};
  for (const auto& [field, member] : cases) EXPECT_EQ(refused_with(", " + member), field) << member;
}

TEST_F(AnthropicTest, GoesOnWithALastMessageOfTheAssistants) {
  start();
  const auto end_behind = [&](const std::string& content) {
    EXPECT_EQ(
        refused_message(R"({"role": "user", "content": "x"}, {"role": "assistant", "content": )" +
                        content + "}"),
        "");
    return engine_.last_.prompt_end;
  };
  EXPECT_EQ(end_behind(R"("{")"), PromptEnd::last_message);
  EXPECT_EQ(engine_.last_.messages.at(1).content.at(0).text, "{");
  EXPECT_EQ(end_behind(R"([{"type": "text", "text": "{"}])"), PromptEnd::last_message);
  EXPECT_EQ(end_behind(R"([{"type": "thinking", "thinking": "Hm", "signature": ""}])"),
            PromptEnd::last_message);
  // Nothing was begun.
  for (const std::string nothing : {R"("")", "[]"}) {
    EXPECT_EQ(end_behind(nothing), PromptEnd::answer);
    EXPECT_EQ(engine_.last_.messages.size(), 1u);
  }
  EXPECT_EQ(post(R"({"model": "tiny", "messages": [{"role": "user", "content": "x"},
                     {"role": "assistant", "content": "So"}]})",
                 "/v1/messages/count_tokens")
                .status,
            200);
  EXPECT_EQ(engine_.last_.prompt_end, PromptEnd::last_message);
}

// A call that is whole is to be run, whatever ended the text behind it.
TEST_F(AnthropicTest, TellsWhatStoppedTheAnswer) {
  start();
  for (const auto& [finish, reason] :
       {std::pair{FinishReason::stop, "stop_sequence"}, {FinishReason::tool_calls, "tool_use"}}) {
    for (const std::string stream : {"", R"(, "stream": true)"}) {
      auto script = std::make_shared<Script>();
      if (finish == FinishReason::tool_calls)
        script->push({"", {}, {}, "", ToolCallDelta{0, "call_a", "f", "{}"}});
      ChatEvent last{"Look", finish, {}};
      last.stop_string = 1;
      script->push(std::move(last));
      engine_.next_ = std::move(script);
      const auto body = post(asking(R"(, "stop_sequences": ["a", "b"])" + stream)).body;
      const json::value told = stream.empty() ? parse_json(body, "body")
                                              : named_events(body).end()[-2].second.at("delta");
      EXPECT_EQ(told.at("stop_reason"), reason);
      EXPECT_EQ(told.at("stop_sequence"), "b");
    }
  }
}

TEST_F(AnthropicTest, NamesWhatIsWrongWithMessages) {
  start();
  const auto block = [&](const std::string& text) {
    return refused_message(R"({"role": "user", "content": [)" + text + "]}");
  };
  EXPECT_EQ(refused_message(R"({"role": "robot", "content": "x"})"), "messages.0.role");
  EXPECT_EQ(refused_message(R"({"role": "user"})"), "messages.0.content");
  EXPECT_EQ(refused_message(R"({"role": "user", "content": []})"), "messages.0.content");
  EXPECT_EQ(refused_message(R"({"role": "system", "content": []})"), "messages");
  EXPECT_EQ(block(R"({"type": "document", "source": {}})"), "messages.0.content.0.source.type");
  EXPECT_EQ(block(R"({"type": "document", "source": {"type": "url", "url": "https://x"}})"),
            "messages.0.content.0.source.type");
  EXPECT_EQ(
      block(
          R"({"type": "document", "source": {"type": "base64", "media_type": "application/pdf", "data": "JVBERi0="}})"),
      "messages.0.content.0.source.data");
  EXPECT_EQ(
      block(
          R"({"type": "document", "source": {"type": "text", "data": "x"}, "citations": {"enabled": true}})"),
      "messages.0.content.0.citations.enabled");
  EXPECT_EQ(block(R"({"type": "tool_use", "id": "t", "name": "f", "input": {}})"),
            "messages.0.content.0.type");
  EXPECT_EQ(block(R"({"type": "text"})"), "messages.0.content.0.text");
  EXPECT_EQ(block(R"({"type": "image"})"), "messages.0.content.0.source");
  EXPECT_EQ(block(R"({"type": "image", "source": {"type": "file", "file_id": "f"}})"),
            "messages.0.content.0.source.type");
  EXPECT_EQ(block(R"({"type": "image", "source": {"type": "url", "url": "x"},
      "transformations": {"oversized_image": "error"}})"),
            "messages.0.content.0.transformations.oversized_image");
  EXPECT_EQ(block(R"({"type": "image", "source": {"type": "url", "url": "nonsense"}})"),
            "messages.0.content.0.source");
  EXPECT_EQ(block(R"({"type": "tool_result", "content": "x"})"),
            "messages.0.content.0.tool_use_id");
  EXPECT_EQ(block(R"({"type": "tool_result", "tool_use_id": "t", "content": [{"type": "video"}]})"),
            "messages.0.content.0.content.0.type");
}

}  // namespace
}  // namespace pippin::server
