// OpenAI's Responses API over a fake engine.
#include <gtest/gtest.h>

#include "server/api_testing.h"

namespace pippin::server {
namespace {

using namespace testing;

class ResponsesTest : public ApiTest {
 protected:
  TestResponse post(const std::string& body) {
    return send("POST /v1/responses HTTP/1.1\r\nHost: h\r\nContent-Length: " +
                std::to_string(body.size()) + "\r\n\r\n" + body);
  }
  static std::string asking(const std::string& members) {
    return R"({"model": "tiny", "input": "hi")" + members + "}";
  }
  json::value answer(const std::string& body) {
    const TestResponse response = post(body);
    EXPECT_EQ(response.status, 200) << response.body;
    return parse_json(response.body, "body");
  }
  // The data of a stream's events, whose names and numbers are checked.
  std::vector<json::value> stream(const std::string& body) {
    std::vector<json::value> events;
    const std::string text = post(body).body;
    std::string_view rest = text;
    while (!rest.empty()) {
      const std::size_t end = rest.find("\n\n");
      const std::string_view event = rest.substr(0, end);
      rest.remove_prefix(end == std::string_view::npos ? rest.size() : end + 2);
      const std::size_t line = event.find('\n');
      events.push_back(parse_json(event.substr(line + 7), "data"));
      EXPECT_EQ(events.back().at("type"), json::string_view(event.substr(7, line - 7)));
      EXPECT_EQ(events.back().at("sequence_number"), events.size() - 1);
    }
    return events;
  }
  std::string refused(const std::string& body, int status = 400) {
    const TestResponse response = post(body);
    if (response.status == 200) return "";
    EXPECT_EQ(response.status, status);
    const json::value param = error_of(response).at("param");
    return param.is_null() ? "no field" : std::string(param.as_string());
  }
  std::string refused_with(const std::string& members) { return refused(asking(members)); }
  std::string refused_item(const std::string& item) {
    return refused(R"({"model": "tiny", "input": [)" + item + "]}");
  }
};

std::shared_ptr<Script> thinking_and_call(FinishReason finish = FinishReason::tool_calls) {
  auto script = std::make_shared<Script>();
  const Usage usage{30, 5, 20, 0, 3};
  script->push({"", {}, usage, "A ", {}});
  script->push({"", {}, usage, "call.", {}});
  script->push({"Look:", {}, usage, "", {}});
  script->push({"", {}, usage, "", ToolCallDelta{0, "call_a", "f", ""}});
  script->push({"", {}, usage, "", ToolCallDelta{0, "", "", R"({"x": )"}});
  script->push({"", {}, usage, "", ToolCallDelta{0, "", "", "1}"}});
  script->push({"", finish, usage});
  return script;
}

std::vector<std::string> types_of(const std::vector<json::value>& events) {
  std::vector<std::string> types;
  for (const auto& event : events)
    types.push_back(std::string(event.at("type").as_string()).substr(sizeof("response.") - 1));
  return types;
}

TEST_F(ResponsesTest, AnswerWhole) {
  start();
  const json::value response =
      answer(asking(R"(, "instructions": "Be.", "max_output_tokens": 4, "metadata": {"a": "b"})"));
  EXPECT_TRUE(response.at("id").as_string().starts_with("resp_"));
  EXPECT_EQ(response.at("object"), "response");
  EXPECT_EQ(response.at("status"), "incomplete");
  EXPECT_EQ(response.at("incomplete_details").at("reason"), "max_output_tokens");
  EXPECT_EQ(response.at("instructions"), "Be.");
  EXPECT_EQ(response.at("metadata").at("a"), "b");
  EXPECT_EQ(response.at("max_output_tokens"), 4);
  EXPECT_EQ(response.at("tools"), json::array());
  EXPECT_EQ(response.at("output").at(0).at("content").at(0).at("text"), "Hello world!");
  EXPECT_EQ(response.at("output").at(0).at("status"), "incomplete");
  EXPECT_EQ(response.at("usage"), parse_json(R"({"input_tokens": 7,
      "input_tokens_details": {"cached_tokens": 3, "cache_write_tokens": 0}, "output_tokens": 4,
      "output_tokens_details": {"reasoning_tokens": 0}, "total_tokens": 11})",
                                             "expected"));
  EXPECT_EQ(engine_.last_.messages.at(0).role, "system");
  EXPECT_EQ(engine_.last_.messages.at(1).content.at(0).text, "hi");
  EXPECT_EQ(engine_.last_.stop.max_tokens, 4);
}

TEST_F(ResponsesTest, StreamEventsInTheirOrder) {
  start();
  engine_.next_ = thinking_and_call();
  const auto events = stream(asking(R"(, "stream": true)"));
  EXPECT_EQ(types_of(events), (std::vector<std::string>{"created",
                                                        "in_progress",
                                                        "output_item.added",
                                                        "content_part.added",
                                                        "reasoning_text.delta",
                                                        "reasoning_text.delta",
                                                        "reasoning_text.done",
                                                        "content_part.done",
                                                        "output_item.done",
                                                        "output_item.added",
                                                        "content_part.added",
                                                        "output_text.delta",
                                                        "output_text.done",
                                                        "content_part.done",
                                                        "output_item.done",
                                                        "output_item.added",
                                                        "function_call_arguments.delta",
                                                        "function_call_arguments.delta",
                                                        "function_call_arguments.done",
                                                        "output_item.done",
                                                        "completed"}));
  const json::value& response = events.back().at("response");
  EXPECT_EQ(response.at("status"), "completed");
  EXPECT_EQ(response.at("usage").at("output_tokens_details").at("reasoning_tokens"), 3);
  ASSERT_EQ(response.at("output").as_array().size(), 3u);
  // Each item is the one that was said to be done, under the id and place of all its events.
  for (const auto& event : events) {
    const auto* index = event.as_object().if_contains("output_index");
    if (!index) continue;
    const json::value& item = response.at("output").at(static_cast<std::size_t>(index->as_int64()));
    if (const auto* id = event.as_object().if_contains("item_id")) {
      EXPECT_EQ(*id, item.at("id"));
    }
    if (event.at("type") == "response.output_item.done") {
      EXPECT_EQ(event.at("item"), item);
    }
  }
  EXPECT_EQ(response.at("output").at(2).at("arguments"), R"({"x": 1})");
  EXPECT_EQ(response.at("output").at(2).at("call_id"), "call_a");
  EXPECT_EQ(response.at("output").at(0).at("content").at(0).at("text"), "A call.");
  EXPECT_EQ(response.at("output").at(0).at("summary"), json::array());
}

TEST_F(ResponsesTest, TellReasoningAsASummaryWhereAskedTo) {
  start();
  const std::string wish =
      R"(, "reasoning": {"effort": "low", "summary": "auto"}, "include": ["reasoning.encrypted_content"])";
  engine_.next_ = thinking_and_call();
  auto types = types_of(stream(asking(wish + R"(, "stream": true)")));
  types.resize(9);
  EXPECT_EQ(types,
            (std::vector<std::string>{
                "created", "in_progress", "output_item.added", "reasoning_summary_part.added",
                "reasoning_summary_text.delta", "reasoning_summary_text.delta",
                "reasoning_summary_text.done", "reasoning_summary_part.done", "output_item.done"}));
  EXPECT_EQ(parse_json(engine_.last_.template_kwargs_json, "kwargs").at("reasoning_effort"), "low");
  engine_.next_ = thinking_and_call();
  const json::value item = answer(asking(wish)).at("output").at(0);
  EXPECT_EQ(item.at("summary").at(0).at("text"), "A call.");
  EXPECT_EQ(item.at("content"), json::array());
  EXPECT_EQ(item.at("encrypted_content"), "pippin-reasoning:A call.");
}

TEST_F(ResponsesTest, FailInMidStream) {
  start();
  auto script = engine_.next_ = std::make_shared<Script>();
  script->push({"begun", {}, {}});
  script->fail(Error(Code::unavailable, "a step failed"));
  const auto events = stream(asking(R"(, "stream": true)"));
  EXPECT_EQ(events.back().at("type"), "response.failed");
  EXPECT_EQ(events.back().at("response").at("error").at("message"), "a step failed");
  EXPECT_EQ(events.back().at("response").at("status"), "failed");
}

TEST_F(ResponsesTest, ReadItems) {
  start();
  const TestResponse response = post(R"({"model": "tiny", "instructions": "Be.", "input": [
      {"role": "developer", "content": "Brief."},
      {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "a"}]},
      {"type": "reasoning", "id": "r", "summary": [{"type": "summary_text", "text": "Hm."}], "content": null},
      {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "Look:", "annotations": []}]},
      {"type": "function_call", "call_id": "c1", "name": "f", "arguments": "{\"x\": [1]}"},
      {"type": "function_call", "call_id": "c2", "name": "g", "arguments": "{\"y"},
      {"type": "function_call_output", "call_id": "c1", "output": "one"},
      {"type": "function_call_output", "call_id": "c2", "output": [{"type": "input_text", "text": "two"}]},
      {"type": "reasoning", "summary": [], "encrypted_content": "pippin-reasoning:Mm."},
      {"type": "function_call", "call_id": "c3", "name": "f", "arguments": ""},
      {"type": "function_call_output", "call_id": "c3", "output": ""}]})");
  ASSERT_EQ(response.status, 200) << response.body;
  EXPECT_FALSE(response.headers.contains("x-pippin-ignored"));
  const auto& messages = engine_.last_.messages;
  ASSERT_EQ(messages.size(), 7u);
  EXPECT_EQ(messages[0].content.size(), 2u);  // the system's
  EXPECT_EQ(messages[1].content[0].text, "a");
  EXPECT_EQ(messages[2].content[0].text, "Look:");
  EXPECT_EQ(parse_json(messages[2].extra_json, "extra"), parse_json(R"({"reasoning_content": "Hm.",
      "tool_calls": [{"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{\"x\": [1]}"}},
                     {"id": "c2", "type": "function", "function": {"name": "g", "arguments": "{\"y"}}]})",
                                                                    "expected"));
  EXPECT_EQ(messages[3].role, "tool");
  EXPECT_EQ(messages[4].content[0].text, "two");
  EXPECT_EQ(parse_json(messages[5].extra_json, "extra").at("reasoning_content"), "Mm.");
  EXPECT_EQ(messages[6].extra_json, R"({"tool_call_id":"c3"})");
}

// An item that was cut goes on where it is the last one, and is one text with what follows it later.
TEST_F(ResponsesTest, GoOnWithWhatWasCut) {
  start();
  const json::value cut = answer(asking(""));
  ASSERT_EQ(cut.at("status"), "incomplete");
  const std::string on = R"({"model": "tiny", "previous_response_id": ")";
  const json::value more =
      answer(on + std::string(cut.at("id").as_string()) + R"(", "input": []})");
  EXPECT_EQ(engine_.last_.prompt_end, PromptEnd::last_message);
  ASSERT_EQ(engine_.last_.messages.size(), 2u);
  EXPECT_EQ(engine_.last_.messages[1].content.at(0).text, "Hello world!");
  answer(on + std::string(more.at("id").as_string()) + R"(", "input": "and?"})");
  EXPECT_EQ(engine_.last_.prompt_end, PromptEnd::answer);
  ASSERT_EQ(engine_.last_.messages.size(), 3u);
  ASSERT_EQ(engine_.last_.messages[1].content.size(), 1u);
  EXPECT_EQ(engine_.last_.messages[1].content[0].text, "Hello world!Hello world!");
}

TEST_F(ResponsesTest, GoOnOnlyWithWhatIsNotFinished) {
  start();
  const auto end_behind = [&](const std::string& item) {
    answer(R"({"model": "tiny", "input": [{"role": "user", "content": "hi"}, )" + item + "]}");
    return engine_.last_.prompt_end;
  };
  const std::string said = R"({"type": "message", "role": "assistant", "content": "So")";
  EXPECT_EQ(end_behind(said + "}"), PromptEnd::answer);
  EXPECT_EQ(end_behind(said + R"(, "status": "completed"})"), PromptEnd::answer);
  EXPECT_EQ(end_behind(said + R"(, "status": "in_progress"})"), PromptEnd::last_message);
  EXPECT_EQ(end_behind(R"({"role": "user", "content": "So", "status": "incomplete"})"),
            PromptEnd::answer);
  EXPECT_EQ(end_behind(R"({"type": "reasoning", "summary": [], "status": "incomplete",
      "content": [{"type": "reasoning_text", "text": "Hm"}]})"),
            PromptEnd::last_message);
  EXPECT_EQ(end_behind(said + R"(, "status": "incomplete"}, {"role": "user", "content": "?"})"),
            PromptEnd::answer);
  EXPECT_EQ(engine_.last_.messages.size(), 3u);
}

TEST_F(ResponsesTest, GoOnFromAStoredOne) {
  start();
  engine_.next_ = thinking_and_call();
  const json::value first = answer(asking(R"(, "instructions": "Be.")"));
  const std::string id(first.at("id").as_string());
  const std::string follow_up =
      R"({"model": "tiny", "previous_response_id": ")" + id +
      R"(", "input": [{"type": "function_call_output", "call_id": "call_a", "output": "7"}]})";
  const json::value second = answer(follow_up);
  EXPECT_EQ(second.at("previous_response_id"), json::string_view(id));
  const auto& messages = engine_.last_.messages;
  ASSERT_EQ(messages.size(), 3u);  // instructions are each request's own
  EXPECT_EQ(messages[0].content[0].text, "hi");
  EXPECT_EQ(parse_json(messages[1].extra_json, "extra").at("reasoning_content"), "A call.");
  EXPECT_EQ(messages[2].role, "tool");

  EXPECT_EQ(parse_json(get("/v1/responses/" + id).body, "body"), first);
  const std::string second_id(second.at("id").as_string());
  const auto items = [&](const std::string& query) {
    return parse_json(get("/v1/responses/" + second_id + "/input_items" + query).body, "body");
  };
  EXPECT_EQ(items("").at("data").as_array().size(), 5u);
  EXPECT_EQ(items("").at("data").at(0).at("type"), "function_call_output");
  const json::value page = items("?order=asc&limit=2");
  EXPECT_EQ(page.at("has_more"), true);
  EXPECT_EQ(page.at("data").at(0).at("content").at(0).at("text"), "hi");
  const std::string after(page.at("last_id").as_string());
  EXPECT_EQ(items("?order=asc&after=" + after).at("data").as_array().size(), 3u);
  EXPECT_EQ(get("/v1/responses/" + second_id + "/input_items?limit=0").status, 400);

  const std::string erase = "DELETE /v1/responses/" + id + " HTTP/1.1\r\nHost: h\r\n\r\n";
  EXPECT_EQ(parse_json(send(erase).body, "body").at("deleted"), true);
  EXPECT_EQ(send(erase).status, 404);
  EXPECT_EQ(get("/v1/responses/" + id).status, 404);
  EXPECT_EQ(refused(follow_up, 404), "previous_response_id");
  EXPECT_EQ(items("").at("data").as_array().size(), 5u);  // the later one keeps what it had
}

TEST_F(ResponsesTest, FindItemsByReference) {
  start();
  engine_.next_ = thinking_and_call();
  const json::value first = answer(asking(""));
  const std::string id(first.at("output").at(2).at("id").as_string());
  answer(R"({"model": "tiny", "input": [{"role": "user", "content": "x"},
      {"type": "item_reference", "id": ")" +
         id + R"("}, {"type": "function_call_output", "call_id": "call_a", "output": "7"}]})");
  EXPECT_NE(engine_.last_.messages.at(1).extra_json.find("call_a"), std::string::npos);
  // What was stored then holds the item, not the reference, which has the id as well.
  answer(R"({"model": "tiny", "input": [{"role": "user", "content": "x"},
      {"type": "item_reference", "id": ")" +
         id + R"("}, {"type": "function_call_output", "call_id": "call_a", "output": "8"}]})");
  EXPECT_NE(engine_.last_.messages.at(1).extra_json.find("call_a"), std::string::npos);
  EXPECT_EQ(refused(R"({"model": "tiny", "input": [{"type": "item_reference", "id": "no"}]})", 404),
            "input.0.id");
}

TEST_F(ResponsesTest, StoreOnlyWhatMayBeAndFits) {
  ApiOptions options;
  options.responses.max_bytes = 6000;
  start(options);
  const auto id_of = [&](const std::string& members) {
    return std::string(answer(asking(members)).at("id").as_string());
  };
  EXPECT_EQ(get("/v1/responses/" + id_of(R"(, "store": false)")).status, 404);
  const std::string first = id_of("");
  EXPECT_EQ(get("/v1/responses/" + first).status, 200);
  for (int i = 0; i < 8; ++i) id_of("");
  EXPECT_EQ(get("/v1/responses/" + first).status, 404);
  EXPECT_EQ(get("/v1/responses/" + id_of("")).status, 200);
}

TEST_F(ResponsesTest, ConversationsAreBoundedToo) {
  ApiOptions options;
  options.responses.max_bytes = 6000;
  start(options);
  std::string id(answer(asking("")).at("id").as_string());
  int status = 200;
  for (int i = 0; i < 20 && status == 200; ++i) {
    const TestResponse next = post(asking(R"(, "previous_response_id": ")" + id + "\""));
    status = next.status;
    if (status == 200) id = parse_json(next.body, "body").at("id").as_string();
  }
  EXPECT_EQ(status, 404);
}

TEST_F(ResponsesTest, GiveToolsAsTemplatesTakeThem) {
  start();
  const json::value response = answer(asking(
      R"(, "tools": [{"type": "function", "name": "f", "description": "d", "parameters": {"type": "object"}, "strict": false}],
      "parallel_tool_calls": false)"));
  EXPECT_EQ(
      engine_.last_.tools_json,
      R"([{"type":"function","function":{"name":"f","description":"d","parameters":{"type":"object","properties":{}}}}])");
  EXPECT_FALSE(engine_.last_.parallel_tool_calls);
  EXPECT_EQ(response.at("tools").at(0).at("name"), "f");
  answer(asking(R"(, "tools": [{"type": "function", "name": "f"}], "tool_choice": "none")"));
  EXPECT_EQ(engine_.last_.tools_json, "");
}

TEST_F(ResponsesTest, LeaveOutWhatOnlyOpenAisModelsKnowBesideTools) {
  start();
  for (
      const std::string tool :
      {R"({"type": "custom", "name": "apply_patch", "format": {"type": "grammar", "syntax": "lark", "definition": "x"}})",
       R"({"type": "local_shell"})", R"({"type": "image_generation", "size": "auto"})"}) {
    const TestResponse response =
        post(asking(R"(, "tools": [)" + tool + R"(, {"type": "function", "name": "f"}])"));
    ASSERT_EQ(response.status, 200) << response.body;
    EXPECT_EQ(response.headers.at("x-pippin-ignored"), "tools.0");
    EXPECT_EQ(parse_json(engine_.last_.tools_json, "tools").as_array().size(), 1u);
    EXPECT_EQ(refused_with(R"(, "tools": [)" + tool + "]"), "tools.0.type");
  }
}

TEST_F(ResponsesTest, ListUnknownNamesAtEveryDepth) {
  start();
  const std::pair<std::string, std::string> cases[] = {
      {R"(, "text": {"format": {"type": "json_schema", "name": "n", "strict": true, "schema": {"x": 1}, "scheme": {}}})",
       "text.format.scheme"},
      {R"(, "reasoning": {"x": 1}, "text": {"y": 1})", "reasoning.x, text.y"},
      {R"(, "tools": [{"type": "function", "name": "f", "paramters": {}}], "tool_choice": {"type": "function", "name": "f", "x": 1})",
       "tools.0.paramters, tool_choice.x"}};
  for (const auto& [members, names] : cases)
    EXPECT_EQ(post(asking(members)).headers["x-pippin-ignored"], names) << members;
  const TestResponse items = post(
      R"({"model": "tiny", "input": [{"role": "user", "content": [{"type": "input_text", "text": "a", "x": 1}], "y": 1},
        {"type": "reasoning", "summary": [{"type": "summary_text", "text": "Hm.", "z": 1}]}]})");
  EXPECT_EQ(items.headers.at("x-pippin-ignored"),
            "input.0.content.0.x, input.0.y, input.1.summary.0.z");
}

TEST_F(ResponsesTest, LeaveOutAWebSearchBesideTools) {
  start();
  const TestResponse response =
      post(asking(R"(, "tools": [{"type": "web_search", "external_web_access": false},
                          {"type": "function", "name": "f"}])"));
  ASSERT_EQ(response.status, 200) << response.body;
  EXPECT_EQ(response.headers.at("x-pippin-ignored"), "tools.0");
  const json::value tools = parse_json(response.body, "body").at("tools");
  ASSERT_EQ(tools.as_array().size(), 1u);
  EXPECT_EQ(tools.at(0).at("name"), "f");
  EXPECT_EQ(parse_json(engine_.last_.tools_json, "tools").as_array().size(), 1u);
}

TEST_F(ResponsesTest, ChooseWithinNamespaces) {
  start();
  answer(asking(R"(, "tools": [{"type": "function", "name": "f"},
      {"type": "namespace", "name": "a", "tools": [{"type": "function", "name": "f"}]}],
      "tool_choice": {"type": "function", "namespace": "a", "name": "f"})"));
  EXPECT_EQ(engine_.last_.tool_choice.allowed, std::vector<std::string>{"a__f"});
}

TEST_F(ResponsesTest, FlattenNamespacesOfTools) {
  start();
  auto script = engine_.next_ = std::make_shared<Script>();
  script->push({"", {}, {}, "", ToolCallDelta{0, "call_a", "agents__spawn", ""}});
  script->push({"", {}, {}, "", ToolCallDelta{0, "", "", "{}"}});
  script->push({"", FinishReason::tool_calls, {}});
  const std::string body =
      R"({"model": "tiny", "stream": true, "input": [{"role": "user", "content": "hi"},
          {"type": "function_call", "call_id": "c", "namespace": "agents", "name": "close", "arguments": "{}"},
          {"type": "function_call_output", "call_id": "c", "output": "done"}],
      "tools": [{"type": "function", "name": "spawn"}, {"type": "namespace", "name": "agents", "description": "Of agents.", "tools": [
          {"type": "function", "name": "spawn", "description": "One.", "parameters": {"type": "object"}, "strict": true},
          {"type": "function", "name": "close", "description": "Two."}]}]})";
  const auto events = stream(body);
  EXPECT_EQ(
      engine_.last_.tools_json,
      R"([{"type":"function","function":{"name":"spawn","parameters":{"type":"object","properties":{}}}},)"
      R"({"type":"function","function":{"name":"agents__spawn","description":"Of agents.\n\nOne.","parameters":{"type":"object","properties":{}},"strict":true}},)"
      R"({"type":"function","function":{"name":"agents__close","description":"Two.","parameters":{"type":"object","properties":{}}}}])");
  EXPECT_TRUE(engine_.last_.tool_choice.strict);
  EXPECT_EQ(parse_json(engine_.last_.messages.at(1).extra_json, "extra")
                .at("tool_calls")
                .at(0)
                .at("function")
                .at("name"),
            "agents__close");
  const json::value& response = events.back().at("response");
  EXPECT_EQ(response.at("output").at(0).at("name"), "spawn");
  EXPECT_EQ(response.at("output").at(0).at("namespace"), "agents");
  EXPECT_EQ(response.at("tools").at(1).at("type"), "namespace");
  const auto space = [&](const std::string& members) {
    return refused_with(R"(, "tools": [{"type": "namespace")" + members + "}]");
  };
  EXPECT_EQ(space(""), "tools.0.name");
  EXPECT_EQ(space(R"(, "name": "a")"), "tools.0.tools");
  EXPECT_EQ(space(R"(, "name": "a", "tools": [{"type": "custom", "name": "c"}])"),
            "tools.0.tools.0.type");
}

TEST_F(ResponsesTest, AskForWhatAnAnswerMustBe) {
  start();
  const std::string tools =
      R"(, "tools": [{"type": "function", "name": "f", "strict": true}, {"type": "function", "name": "g"}])";
  EXPECT_EQ(answer(asking(tools + R"(, "tool_choice": "required")")).at("tools").at(0).at("strict"),
            true);
  EXPECT_TRUE(engine_.last_.tool_choice.required);
  EXPECT_TRUE(engine_.last_.tool_choice.strict);
  answer(asking(tools + R"(, "tool_choice": {"type": "function", "name": "g"})"));
  EXPECT_EQ(engine_.last_.tool_choice.allowed, std::vector<std::string>{"g"});
  EXPECT_EQ(refused_with(tools + R"(, "tool_choice": {"type": "function", "name": "h"})"),
            "tool_choice");
  EXPECT_EQ(refused_with(R"(, "tool_choice": "required")"), "tool_choice");
  const std::string some = tools + R"(, "tool_choice": {"type": "allowed_tools", "mode": )";
  const std::string g = R"(, "tools": [{"type": "function", "name": "g"}]})";
  answer(asking(some + R"("required")" + g));
  EXPECT_TRUE(engine_.last_.tool_choice.required);
  EXPECT_EQ(engine_.last_.tool_choice.allowed, std::vector<std::string>{"g"});
  answer(asking(some + R"("auto")" + g));
  EXPECT_FALSE(engine_.last_.tool_choice.required);
  EXPECT_EQ(
      engine_.last_.tools_json,
      R"([{"type":"function","function":{"name":"g","parameters":{"type":"object","properties":{}}}}])");
  EXPECT_EQ(refused_with(some + R"("some")" + g), "tool_choice.mode");
  EXPECT_EQ(refused_with(some + R"("auto"})"), "tool_choice.tools");
  EXPECT_EQ(refused_with(some + R"("auto", "tools": [{"type": "mcp"}]})"),
            "tool_choice.tools.0.type");

  const json::value response = answer(asking(
      R"(, "text": {"format": {"type": "json_schema", "name": "n", "strict": true, "schema": {"type": "object"}}})"));
  EXPECT_EQ(response.at("text").at("format").at("name"), "n");
  EXPECT_EQ(engine_.last_.format.kind, ResponseFormat::Kind::json_schema);
  EXPECT_EQ(engine_.last_.format.text, R"({"type":"object"})");
  answer(asking(R"(, "text": {"format": {"type": "json_object"}})"));
  EXPECT_EQ(engine_.last_.format.kind, ResponseFormat::Kind::json_object);
  EXPECT_EQ(refused_with(R"(, "text": {"format": {"type": "json_schema"}})"), "text.format.schema");
  EXPECT_EQ(refused_with(R"(, "text": {"format": {"type": "xml"}})"), "text.format.type");
}

TEST_F(ResponsesTest, NameWhatIsWrong) {
  start();
  EXPECT_EQ(refused("{"), "body");
  EXPECT_EQ(refused(R"({"model": "tiny"})"), "input");
  EXPECT_EQ(refused(R"({"model": "tiny", "input": []})"), "input");
  const std::vector<std::pair<std::string, std::string>> cases{
      {"temperature", R"("temperature": 2.5)"},
      {"max_output_tokens", R"("max_output_tokens": 0)"},
      {"background", R"("background": true)"},
      {"truncation", R"("truncation": "some")"},
      {"conversation", R"("conversation": "c")"},
      {"prompt", R"("prompt": {"id": "p"})"},
      {"prompt_cache_options", R"("prompt_cache_options": {"prewarm": true})"},
      {"top_logprobs", R"("top_logprobs": 2)"},
      {"include.0", R"("include": ["message.output_text.logprobs"])"},
      {"reasoning.effort", R"("reasoning": {"effort": "huge"})"},
      {"reasoning.summary", R"("reasoning": {"summary": "long"})"},
      {"reasoning.mode", R"("reasoning": {"mode": "pro"})"},
      {"reasoning.context", R"("reasoning": {"context": "all_turns"})"},
      {"text.verbosity", R"("text": {"verbosity": "low"})"},
      {"tools.0.type", R"("tools": [{"type": "web_search"}])"},
      {"tools.0.type", R"("tools": [{"type": "web_search"}, {"type": "web_search_preview"}])"},
      {"tools.1.name",
       R"("tools": [{"type": "function", "name": "f"}, {"type": "function", "name": "f"}])"},
      {"tools.1.tools.0.name",
       R"("tools": [{"type": "function", "name": "a__f"},
          {"type": "namespace", "name": "a", "tools": [{"type": "function", "name": "f"}]}])"},
      {"tools.1.type",
       R"("tools": [{"type": "function", "name": "f"}, {"type": "code_interpreter"}])"},
      {"tools.0.name", R"("tools": [{"type": "function"}])"},
      {"tools.0.async", R"("tools": [{"type": "function", "name": "f", "async": true}])"},
      {"tool_choice", R"("tool_choice": "some")"},
      {"tool_choice.type", R"("tool_choice": {"type": "mcp"})"},
      {"stream_options", R"("stream_options": {})"}};
  for (const auto& [field, member] : cases) EXPECT_EQ(refused_with(", " + member), field) << member;
  EXPECT_EQ(refused_item("1"), "input.0");
  EXPECT_EQ(refused_item(R"({"type": "computer_call"})"), "input.0.type");
  EXPECT_EQ(refused_item(R"({"role": "robot", "content": "x"})"), "input.0.role");
  EXPECT_EQ(refused_item(R"({"role": "user"})"), "input.0.content");
  EXPECT_EQ(refused_item(R"({"role": "user", "content": [{"type": "input_file"}]})"),
            "input.0.content.0.file_data");
  EXPECT_EQ(
      refused_item(R"({"role": "user", "content": [{"type": "input_image", "file_id": "f"}]})"),
      "input.0.content.0.file_id");
  EXPECT_EQ(
      refused_item(
          R"({"role": "user", "content": [{"type": "input_image", "image_url": "nonsense"}]})"),
      "input.0.content.0.image_url");
  EXPECT_EQ(refused_item(R"({"type": "function_call", "name": "f", "arguments": "{}"})"),
            "input.0.call_id");
  EXPECT_EQ(refused_item(R"({"type": "function_call_output", "call_id": "c"})"), "input.0.output");
}

}  // namespace
}  // namespace pippin::server
