// Ollama's API over a fake engine.
#include <gtest/gtest.h>

#include "server/api_testing.h"

namespace pippin::server {
namespace {

using namespace testing;

std::vector<json::value> lines_of(const std::string& body) {
  std::vector<json::value> lines;
  for (std::size_t begin = 0; begin < body.size();) {
    const auto end = body.find('\n', begin);
    EXPECT_NE(end, std::string::npos) << body;
    lines.push_back(parse_json(body.substr(begin, end - begin), "line"));
    begin = end + 1;
  }
  return lines;
}

class OllamaTest : public ApiTest {
 protected:
  TestResponse post(const std::string& path, const std::string& body) {
    return send("POST " + path + " HTTP/1.1\r\nHost: h\r\nContent-Length: " +
                std::to_string(body.size()) + "\r\n\r\n" + body);
  }
  static std::string asking(const std::string& members) {
    return R"({"model": "tiny", "messages": [{"role": "user", "content": "hi"}])" + members + "}";
  }
  json::value chat(const std::string& members) {
    const auto response = post("/api/chat", asking(R"(, "stream": false)" + members));
    EXPECT_EQ(response.status, 200) << response.body;
    return parse_json(response.body, "body");
  }
  // The message of the error that answers.
  std::string refused(const std::string& path, const std::string& body) {
    const auto response = post(path, body);
    EXPECT_EQ(response.status, 400) << response.body;
    return std::string(parse_json(response.body, "body").at("error").as_string());
  }
  ChatRequest last() { return engine_.last_; }
};

std::shared_ptr<Script> thinking_and_calls() {
  auto script = std::make_shared<Script>();
  script->push({"", {}, {}, "Hm"});
  script->push({"Let me", {}, {}});
  script->push({"", {}, {}, {}, ToolCallDelta{0, "call_1", "look", R"({"at": )"}});
  script->push({"", {}, {}, {}, ToolCallDelta{0, "", "", "3}"}});
  script->push({"", {}, {}, {}, ToolCallDelta{1, "call_2", "say", R"({"w)"}});
  script->push({"", FinishReason::tool_calls, {9, 5}});
  return script;
}

TEST_F(OllamaTest, AnswersWholeAndInLines) {
  start();
  const auto whole = chat("");
  EXPECT_EQ(whole.at("message"), (json::value{{"role", "assistant"}, {"content", "Hello world!"}}));
  EXPECT_EQ(whole.at("done"), true);
  EXPECT_EQ(whole.at("done_reason"), "length");
  EXPECT_EQ(whole.at("prompt_eval_count"), 7);
  EXPECT_EQ(whole.at("eval_count"), 4);
  for (const char* name :
       {"total_duration", "load_duration", "prompt_eval_duration", "eval_duration"})
    EXPECT_GE(whole.at(name).as_int64(), 0) << name;

  const auto response = post("/api/chat", asking(""));  // a stream, unless told otherwise
  EXPECT_EQ(response.headers.at("content-type"), "application/x-ndjson");
  std::string text;
  const auto lines = lines_of(response.body);
  for (const auto& line : lines) {
    EXPECT_EQ(line.at("model"), "tiny");
    EXPECT_EQ(line.at("done").as_bool(), &line == &lines.back());
    text += line.at("message").at("content").as_string();
  }
  EXPECT_EQ(text, "Hello world!");
  EXPECT_EQ(lines.back().at("eval_count"), 4);
}

TEST_F(OllamaTest, TellsThoughtsAndWholeCalls) {
  start();
  const json::value first{
      {"id", "call_1"}, {"function", {{"index", 0}, {"name", "look"}, {"arguments", {{"at", 3}}}}}};
  const json::value second{
      {"id", "call_2"},
      {"function", {{"index", 1}, {"name", "say"}, {"arguments", json::object()}}}};
  engine_.next_ = thinking_and_calls();
  const auto whole = chat("").at("message");
  EXPECT_EQ(whole.at("thinking"), "Hm");
  EXPECT_EQ(whole.at("content"), "Let me");
  EXPECT_EQ(whole.at("tool_calls"), (json::array{first, second}));

  engine_.next_ = thinking_and_calls();
  const auto lines = lines_of(post("/api/chat", asking("")).body);
  ASSERT_EQ(lines.size(), 5u);
  EXPECT_EQ(lines[0].at("message").at("thinking"), "Hm");
  EXPECT_EQ(lines[1].at("message").at("content"), "Let me");
  EXPECT_EQ(lines[2].at("message").at("tool_calls"), json::array{first});
  EXPECT_EQ(lines[3].at("message").at("tool_calls"), json::array{second});
  EXPECT_EQ(lines[4].at("done_reason"), "stop");
}

TEST_F(OllamaTest, OptionsSayHowTheAnswerIsSampled) {
  start();
  chat(
      R"(, "options": {"temperature": 0.5, "top_k": 3, "top_p": 0.25, "min_p": 0.125, "seed": 7, "stop": ["x", "y"],
          "num_predict": 12, "repeat_penalty": 1.5, "presence_penalty": 0.5, "num_ctx": 4096, "repeat_last_n": 64})");
  EXPECT_EQ(last().sampling.temperature, 0.5f);
  EXPECT_EQ(last().sampling.top_k, 3);
  EXPECT_EQ(last().sampling.top_p, 0.25f);
  EXPECT_EQ(last().sampling.min_p, 0.125f);
  EXPECT_EQ(last().sampling.seed, 7u);
  EXPECT_EQ(last().sampling.repetition_penalty, 1.5f);
  EXPECT_EQ(last().sampling.presence_penalty, 0.5f);
  EXPECT_EQ(last().stop.max_tokens, 12);
  EXPECT_EQ(last().stop.strings, (std::vector<std::string>{"x", "y"}));
  chat(R"(, "options": {"num_predict": -1})");
  EXPECT_EQ(last().stop.max_tokens, 0);
  EXPECT_NE(refused("/api/chat", asking(R"(, "options": {"mirostat": 2})")).find("mirostat"),
            std::string::npos);
  EXPECT_NE(refused("/api/chat", asking(R"(, "options": {"temperature": "hot"})"))
                .find("options.temperature"),
            std::string::npos);
  const auto response =
      post("/api/chat", asking(R"(, "stream": false, "options": {"tempo": 1}, "foo": 2)"));
  EXPECT_EQ(response.headers.at("x-pippin-ignored"), "foo, options.tempo");
}

TEST_F(OllamaTest, FormatAndThinkingAreKeptTo) {
  start();
  chat(R"(, "format": "json", "think": false)");
  EXPECT_EQ(last().format.kind, ResponseFormat::Kind::json_object);
  EXPECT_EQ(parse_json(last().template_kwargs_json, "").at("enable_thinking"), false);
  chat(
      R"(, "format": {"type": "object", "properties": {"n": {"maximum": 123456789012345678901}}}, "think": "high")");
  EXPECT_EQ(last().format.kind, ResponseFormat::Kind::json_schema);
  EXPECT_NE(last().format.text.find("123456789012345678901"), std::string::npos);
  EXPECT_EQ(parse_json(last().template_kwargs_json, "").at("reasoning_effort"), "high");
  chat(R"(, "format": "")");
  EXPECT_EQ(last().format.kind, ResponseFormat::Kind::text);
  EXPECT_EQ(last().template_kwargs_json, "");
  EXPECT_NE(refused("/api/chat", asking(R"(, "format": "xml")")).find("'format'"),
            std::string::npos);
  EXPECT_NE(refused("/api/chat", asking(R"(, "think": 3)")).find("'think'"), std::string::npos);
}

TEST_F(OllamaTest, MessagesBringPicturesCallsAndResults) {
  start();
  const std::string png =
      "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+"
      "M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";
  const auto response = post("/api/chat", R"({"model": "tiny:latest", "stream": false, "messages": [
      {"role": "user", "content": "what is it", "images": [")" +
                                              png + R"("]},
      {"role": "assistant", "content": "", "thinking": "Hm", "tool_calls": [
          {"function": {"name": "look", "arguments": {"n": 12345678901234567890123}}}, {"function": {"name": "say", "arguments": {}}}]},
      {"role": "tool", "tool_name": "say", "content": "said"}, {"role": "tool", "content": "seen"}],
      "tools": [{"type": "function", "function": {"name": "look", "parameters": {"type": "object"}}}]})");
  ASSERT_EQ(response.status, 200) << response.body;
  const auto& messages = last().messages;
  ASSERT_EQ(messages.size(), 4u);
  ASSERT_EQ(messages[0].content.size(), 2u);
  EXPECT_TRUE(messages[0].content[0].image);
  EXPECT_EQ(messages[0].content[1].text, "what is it");
  const auto said = parse_json(messages[1].extra_json, "");
  EXPECT_EQ(said.at("reasoning_content"), "Hm");
  const auto& calls = said.at("tool_calls").as_array();
  EXPECT_NE(messages[1].extra_json.find("12345678901234567890123"), std::string::npos);
  const auto answers = [&](std::size_t message, std::size_t call) {
    const auto extra = parse_json(messages[message].extra_json, "");
    EXPECT_EQ(extra.at("tool_call_id"), calls[call].at("id"));
    EXPECT_EQ(extra.at("name"), calls[call].at("function").at("name"));
  };
  answers(2, 1);
  answers(3, 0);
  EXPECT_FALSE(last().tools_json.empty());
  EXPECT_NE(
      refused("/api/chat", R"({"messages": [{"role": "user", "content": "x", "images": ["!!"]}]})")
          .find("messages.0.images.0"),
      std::string::npos);
}

TEST_F(OllamaTest, GoesOnWithALastMessageOfTheAssistants) {
  start();
  const auto end_behind = [&](const std::string& message) {
    const auto response = post("/api/chat", R"({"model": "tiny", "stream": false, "messages": [
             {"role": "user", "content": "hi"}, {"role": "assistant", )" +
                                                message + "}]}");
    EXPECT_EQ(response.status, 200) << response.body;
    return last().prompt_end;
  };
  EXPECT_EQ(end_behind(R"("content": "So")"), PromptEnd::last_message);
  EXPECT_EQ(last().messages.at(1).content.at(0).text, "So");
  EXPECT_EQ(end_behind(R"("content": "", "thinking": "Hm")"), PromptEnd::last_message);
  // Nothing was begun, or what was begun has ended.
  EXPECT_EQ(end_behind(R"("content": "")"), PromptEnd::answer);
  EXPECT_EQ(last().messages.size(), 1u);
  EXPECT_EQ(end_behind(R"("content": "", "tool_calls": [{"function": {"name": "f"}}])"),
            PromptEnd::answer);
  EXPECT_EQ(last().messages.size(), 2u);
  chat("");
  EXPECT_EQ(last().prompt_end, PromptEnd::answer);
}

// Its place among the messages is counted.
TEST_F(OllamaTest, ALastMessageOfPicturesIsKept) {
  start();
  const auto response = post("/api/chat", R"({"model": "tiny", "stream": false, "messages": [
      {"role": "user", "content": "hi"}, {"role": "assistant", "content": "", "images": [
       "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="]}]})");
  EXPECT_EQ(response.status, 200) << response.body;
  ASSERT_EQ(last().messages.size(), 2u);
  EXPECT_TRUE(last().messages[1].content.at(0).image);
}

TEST_F(OllamaTest, GenerateIsAShortChatOrARawText) {
  start();
  const auto response =
      post("/api/generate",
           R"({"model": "tiny", "prompt": "hi", "system": "be brief", "stream": false})");
  const auto body = parse_json(response.body, "body");
  EXPECT_EQ(body.at("response"), "Hello world!");
  EXPECT_EQ(body.at("done_reason"), "length");
  ASSERT_EQ(last().messages.size(), 2u);
  EXPECT_EQ(last().messages[0].content[0].text, "be brief");
  EXPECT_EQ(last().messages[1].content[0].text, "hi");

  const auto lines = lines_of(
      post("/api/generate", R"({"prompt": "<s>hi", "raw": true, "options": {"num_predict": 5}})")
          .body);
  EXPECT_EQ(lines.front().at("response"), "Hel");
  EXPECT_TRUE(lines.back().at("done").as_bool());
  ASSERT_EQ(engine_.completions_.size(), 1u);
  EXPECT_EQ(engine_.completions_[0].text, "<s>hi");
  EXPECT_EQ(engine_.completions_[0].stop.max_tokens, 5);
  post("/api/generate", R"({"prompt": "def f():", "suffix": "return x", "stream": false})");
  EXPECT_EQ(engine_.completions_.at(1).suffix, "return x");
  EXPECT_NE(refused("/api/generate", R"({"prompt": "x", "context": [1, 2]})").find("'context'"),
            std::string::npos);
  EXPECT_NE(
      refused("/api/generate", R"({"prompt": "x", "raw": true, "system": "s"})").find("'system'"),
      std::string::npos);
}

TEST_F(OllamaTest, NothingToAnswerLoadsTheModel) {
  start();
  for (const char* body :
       {R"({"model": "tiny"})", R"({"model": "tiny", "messages": [], "keep_alive": 0})"}) {
    const auto answer = parse_json(post("/api/chat", body).body, "body");
    EXPECT_EQ(answer.at("done_reason"), "load") << body;
    EXPECT_TRUE(answer.at("done").as_bool());
  }
  EXPECT_EQ(parse_json(post("/api/generate", R"({"model": "tiny"})").body, "body").at("response"),
            "");
  EXPECT_EQ(post("/api/chat", R"({"model": "other"})").status, 404);
}

TEST_F(OllamaTest, TellsOfTheModel) {
  start();
  const auto tags = parse_json(get("/api/tags").body, "body").at("models").as_array();
  ASSERT_EQ(tags.size(), 1u);
  EXPECT_EQ(tags[0].at("name"), "tiny");
  EXPECT_EQ(tags[0].at("digest").as_string().size(), 64u);
  EXPECT_EQ(parse_json(get("/api/ps").body, "body").at("models").at(0).at("context_length"), 512);
  EXPECT_TRUE(parse_json(get("/api/version").body, "body").at("version").is_string());
  const auto show = parse_json(post("/api/show", R"({"model": "tiny"})").body, "body");
  EXPECT_EQ(show.at("capabilities"), (json::array{"completion", "vision", "tools", "thinking"}));
  const auto unknown = post("/api/show", R"({"model": "other"})");
  EXPECT_EQ(unknown.status, 404);
  EXPECT_TRUE(parse_json(unknown.body, "body").at("error").is_string());
}

TEST_F(OllamaTest, AnErrorInAStreamIsItsLastLine) {
  start();
  engine_.next_ = std::make_shared<Script>();
  engine_.next_->push({"Hel", {}, {}});
  engine_.next_->fail(Error(Code::unavailable, "no memory"));
  const auto lines = lines_of(post("/api/chat", asking("")).body);
  EXPECT_EQ(lines.back(), (json::value{{"error", "no memory"}}));
}

TEST_F(OllamaTest, AQuietStreamIsKeptAliveByLines) {
  keep_alive_ = milliseconds(20);
  start();
  auto script = engine_.next_ = std::make_shared<Script>();
  std::thread later([&] {
    std::this_thread::sleep_for(milliseconds(150));
    script->push({"hi", FinishReason::stop, {1, 1}});
  });
  const auto lines = lines_of(post("/api/chat", asking("")).body);
  later.join();
  ASSERT_GT(lines.size(), 3u);
  EXPECT_EQ(lines[0].at("message").at("content"), "");
  EXPECT_EQ(lines[0].at("done"), false);
}

}  // namespace
}  // namespace pippin::server
