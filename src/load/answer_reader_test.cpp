#include "load/answer_reader.h"

#include <gtest/gtest.h>

namespace pippin {
namespace {

std::string event(const std::string& data) { return "data: " + data + "\n\n"; }

std::string piece(const std::string& text) {
  return event(R"({"choices": [{"delta": {"content": ")" + text + R"("}}]})");
}

constexpr const char* usage =
    R"({"choices": [], "usage": {"prompt_tokens": 9, "completion_tokens": 5,
        "prompt_tokens_details": {"cached_tokens": 4}}})";

RequestResult sent_at(double time) {
  RequestResult result;
  result.sent = time;
  return result;
}

TEST(AnswerReader, TimesAStream) {
  AnswerReader reader(sent_at(1), true);
  reader.feed(event(R"({"choices": [{"delta": {"role": "assistant", "content": ""}}]})"), 1.1);
  reader.feed(piece("a"), 1.5);
  reader.feed(piece("b") + piece("c"), 1.7);
  std::string one_line = usage;
  std::erase(one_line, '\n');
  reader.feed(event(one_line) + event("[DONE]"), 1.8);
  const auto result = reader.finish(200, "", 1.9);
  EXPECT_TRUE(result.ok()) << result.error;
  EXPECT_EQ(reader.text(), "abc");
  EXPECT_DOUBLE_EQ(result.ttft(), 0.5);
  ASSERT_EQ(result.gaps.size(), 2u);
  EXPECT_NEAR(result.gaps[0], 0.2, 1e-12);
  EXPECT_NEAR(result.gaps[1], 0, 1e-12);
  EXPECT_EQ(result.prompt_tokens, 9);
  EXPECT_EQ(result.cached_tokens, 4);
  EXPECT_EQ(result.output_tokens, 5);
  EXPECT_NEAR(result.per_token(), 0.1, 1e-12);
}

TEST(AnswerReader, TakesBytesAsTheyCome) {
  const std::string bytes = ": hello\r\n\r\n" + piece("a") + "data:[DONE]\r\n\r\n";
  AnswerReader reader(sent_at(0), true);
  for (std::size_t i = 0; i < bytes.size(); ++i)
    reader.feed(bytes.substr(i, 1), static_cast<double>(i));
  const auto result = reader.finish(200, "", 100);
  EXPECT_TRUE(result.ok()) << result.error;
  EXPECT_EQ(reader.text(), "a");
}

TEST(AnswerReader, CountsPiecesWithoutAUsage) {
  AnswerReader reader(sent_at(0), true);
  reader.feed(piece("a") + piece("b") + event("[DONE]"), 1);
  const auto result = reader.finish(200, "", 1);
  EXPECT_FALSE(result.has_usage);
  EXPECT_EQ(result.output_tokens, 2);
}

TEST(AnswerReader, CountsReasoningAndCalls) {
  AnswerReader reader(sent_at(0), true);
  reader.feed(event(R"({"choices": [{"delta": {"reasoning_content": "hm"}}]})"), 1);
  reader.feed(event(R"({"choices": [{"delta": {"tool_calls": [{}]}}]})") + event("[DONE]"), 2);
  const auto result = reader.finish(200, "", 2);
  EXPECT_EQ(result.output_tokens, 2);
  EXPECT_DOUBLE_EQ(result.first, 1);
}

TEST(AnswerReader, ReadsAWholeAnswer) {
  AnswerReader reader(sent_at(0), false);
  reader.feed(R"({"choices": [{"message": {"content": "hi"}}], "usage": {"completion_)", 1);
  reader.feed(R"(tokens": 3}})", 2);
  const auto result = reader.finish(200, "", 3);
  EXPECT_TRUE(result.ok()) << result.error;
  EXPECT_EQ(reader.text(), "hi");
  EXPECT_EQ(result.output_tokens, 3);
  EXPECT_LT(result.first, 0);
  EXPECT_LT(result.per_token(), 0);
}

std::string error_of(bool streamed, const std::string& bytes, int status,
                     const std::string& failure = "") {
  AnswerReader reader(sent_at(0), streamed);
  reader.feed(bytes, 1);
  return reader.finish(status, failure, 2).error;
}

TEST(AnswerReader, NamesErrorsByKind) {
  EXPECT_EQ(error_of(true, R"({"error": {}})", 429), "http 429");
  EXPECT_EQ(error_of(true, piece("a"), 200), "cut off");
  EXPECT_EQ(error_of(true, piece("a"), 0, "Timeout was reached"), "timeout");
  EXPECT_EQ(error_of(true, "", 0, "Couldn't connect to server"), "connection failed");
  EXPECT_EQ(error_of(true, event(R"({"error": {"message": "x"}})") + event("[DONE]"), 200),
            "error in the stream");
  for (const char* bad : {"{", "7", "[]", R"({"choices": 7})"})
    EXPECT_EQ(error_of(false, bad, 200), "malformed answer") << bad;
  EXPECT_EQ(error_of(true, event("{") + event("[DONE]"), 200), "malformed answer");
}

}  // namespace
}  // namespace pippin
