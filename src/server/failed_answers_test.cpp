// Answers that fail in the middle, as one does whose grammar gets too complex to follow: what each API says of it.
#include <gtest/gtest.h>

#include <memory>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

#include "server/api_testing.h"

namespace pippin::server::testing {
namespace {

constexpr const char* why = "the grammar is too complex to keep to";

struct Dialect {
  const char* name;
  const char* path;
  const char* body;  // without its end
};

constexpr Dialect chat{"chat", "/v1/chat/completions",
                       R"({"model": "tiny", "messages": [{"role": "user", "content": "hi"}])"};
constexpr Dialect completions{"completions", "/v1/completions",
                              R"({"model": "tiny", "prompt": "hi")"};
constexpr Dialect responses{"responses", "/v1/responses", R"({"model": "tiny", "input": "hi")"};
constexpr Dialect messages{
    "messages", "/v1/messages",
    R"({"model": "tiny", "max_tokens": 9, "messages": [{"role": "user", "content": "hi"}])"};
constexpr Dialect ollama_chat{
    "ollama_chat", "/api/chat",
    R"({"model": "tiny", "messages": [{"role": "user", "content": "hi"}])"};
constexpr Dialect ollama_prompt{"ollama_prompt", "/api/generate",
                                R"({"model": "tiny", "prompt": "hi")"};
constexpr Dialect ollama_text{"ollama_text", "/api/generate",
                              R"({"model": "tiny", "prompt": "hi", "raw": true)"};

class FailedAnswers : public ApiTest, public ::testing::WithParamInterface<Dialect> {
 protected:
  // The answer says `text`, then its grammar fails.
  TestResponse ask(const std::string& text, const std::string& more) {
    start();
    engine_.next_ = std::make_shared<Script>();
    if (!text.empty()) engine_.next_->push({text, {}, {}});
    engine_.next_->fail(Error(Code::invalid_argument, why, "response_format"));
    const std::string body = GetParam().body + more + "}";
    return send(std::string("POST ") + GetParam().path +
                " HTTP/1.1\r\nHost: h\r\nContent-Length: " + std::to_string(body.size()) +
                "\r\n\r\n" + body);
  }

  bool is(const Dialect& dialect) const { return GetParam().path == std::string(dialect.path); }
  bool is_ollama() const { return std::string_view(GetParam().path).starts_with("/api/"); }

  // The JSON of each line, or of each event, of APIs whose events have names, too.
  std::vector<json::object> all_events(const std::string& body) const {
    std::vector<json::object> events;
    if (is_ollama()) {
      std::istringstream lines(body);
      for (std::string line; std::getline(lines, line);)
        events.push_back(parse_json(line, "line").as_object());
      return events;
    }
    for (std::size_t at = body.find("data: "); at != std::string::npos;
         at = body.find("data: ", at + 1)) {
      const std::string data = body.substr(at + 6, body.find('\n', at) - at - 6);
      if (data != "[DONE]") events.push_back(parse_json(data, "event").as_object());
    }
    return events;
  }

  static std::string text_of(const json::value& value) { return std::string(value.as_string()); }

  void expect_failure(const json::object& last) const {
    if (is(messages)) {
      EXPECT_EQ(last.at("type"), "error");
      EXPECT_EQ(last.at("error").at("type"), "invalid_request_error");
      EXPECT_EQ(text_of(last.at("error").at("message")), std::string("response_format: ") + why);
    } else if (is(responses)) {
      EXPECT_EQ(last.at("type"), "response.failed");
      EXPECT_EQ(last.at("response").at("status"), "failed");
      EXPECT_EQ(last.at("response").at("error").at("code"), "invalid_prompt");
      EXPECT_EQ(text_of(last.at("response").at("error").at("message")),
                std::string("response_format: ") + why);
    } else if (is_ollama()) {
      EXPECT_EQ(last, (json::object{{"error", std::string("response_format: ") + why}}));
    } else {
      EXPECT_EQ(last.at("error").at("type"), "invalid_request_error");
      EXPECT_EQ(last.at("error").at("code"), "invalid_value");
      EXPECT_EQ(last.at("error").at("param"), "response_format");
      EXPECT_EQ(last.at("error").at("message"), why);
    }
  }
};

TEST_P(FailedAnswers, AStreamEndsInAnErrorAndNotInAReason) {
  for (const std::string text : {"Hel", ""}) {
    const TestResponse response = ask(text, R"(, "stream": true)");
    EXPECT_EQ(response.status, 200);  // which is said when the answer is asked for
    const auto events = all_events(response.body);
    ASSERT_FALSE(events.empty());
    expect_failure(events.back());
    EXPECT_EQ(response.body.find("[DONE]"), std::string::npos);
    for (const char* reason :
         {R"("finish_reason":")", R"("stop_reason":")", "message_stop", "response.completed",
          "response.incomplete", R"("done":true)", "done_reason"})
      EXPECT_EQ(response.body.find(reason), std::string::npos) << reason;
    EXPECT_EQ(response.body.find("Hel") != std::string::npos, !text.empty());
  }
}

TEST_P(FailedAnswers, AWholeAnswerIsAnError) {
  for (const std::string text : {"Hel", ""}) {
    const TestResponse response = ask(text, R"(, "stream": false)");
    EXPECT_EQ(response.status, 400);
    EXPECT_EQ(response.body.find("Hel"), std::string::npos);
    if (is_ollama()) {
      expect_failure(parse_json(response.body, "body").as_object());
      continue;
    }
    const json::object error = error_of(response);
    EXPECT_EQ(error.at("type"), "invalid_request_error");
    EXPECT_NE(text_of(error.at("message")).find(why), std::string::npos);
    if (is(messages))
      EXPECT_NE(text_of(error.at("message")).find("response_format"), std::string::npos);
    else
      EXPECT_EQ(error.at("param"), "response_format");
  }
}

INSTANTIATE_TEST_SUITE_P(Dialects, FailedAnswers,
                         ::testing::Values(chat, completions, responses, messages, ollama_chat,
                                           ollama_prompt, ollama_text),
                         [](const auto& info) { return std::string(info.param.name); });

}  // namespace
}  // namespace pippin::server::testing
